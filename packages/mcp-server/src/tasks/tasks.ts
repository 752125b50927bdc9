import type { Clock } from '@sallyport/oauth'
import type { CallServices } from '../calls/perform.ts'
import type { SharedChanges } from '../calls/shared-changes.ts'
import type { Waiting } from '../elicit/exchange.ts'
import { principalOf } from '../principal.ts'
import type { Registry } from '../registry.ts'
import type { Call, Caller, ClientCaller } from '../tools/call-context.ts'
import type { Tool } from '../tools/define-tool.ts'
import { createTaskBeginning, type RunningTask } from './begin-tasks.ts'
import type { SignIns } from './is-wanted.ts'
import { createTaskAccess } from './task-access.ts'
import type { TaskOptions } from './task-options.ts'
import type { TaskRecords } from './task-records.ts'
import { abandoned, answered, isAbandoned, revoked } from './task-run.ts'
import { type DetailedTask, detailedTask, endedState, failure, isOver, type TaskState } from './task-state.ts'
import { type TaskWatch, watchTasks } from './task-watch.ts'
import { knowsTasks, tasksRequired } from './tasks-extension.ts'

/** Calls that go on after they were answered. */
export interface Tasks {
  /**
   * Begins a task for a call, when its tool may be one and its client knows tasks, or lets its handler begin it.
   *
   * @returns what the client is told, which may be a result after all; undefined when the call is to be made at once
   * @throws {MissingRequiredClientCapabilityError} when the tool is a task or nothing, and the client knows none
   */
  begin(tool: Tool, call: Call): Promise<object | undefined>
  /** What runs as a task of this caller, who may perhaps not use it any more; undefined when there is no such task. */
  toolOf(caller: Caller | ClientCaller | undefined, taskId: string): Promise<Tool | undefined>
  /** `tasks/get`; undefined when this caller has no such task. */
  get(caller: Caller | ClientCaller | undefined, taskId: string): Promise<DetailedTask | undefined>
  /** `tasks/update`; false when this caller has no such task. */
  update(
    caller: Caller | ClientCaller | undefined,
    taskId: string,
    inputResponses: Readonly<Record<string, unknown>>,
  ): Promise<boolean>
  /** `tasks/cancel`; false when this caller has no such task. */
  cancel(caller: Caller | ClientCaller | undefined, taskId: string): Promise<boolean>
  /** Finds those of some tasks that this caller may follow. */
  watch(caller: Caller | ClientCaller | undefined, taskIds: readonly string[]): Promise<TaskWatch>
  /** A sign-in was revoked: what it began here ends. */
  endGrant(grantId: string): void
  /** Ends what still runs here. */
  close(): Promise<void>
}

/** After how many times of `pollIntervalMs` a followed task is looked at although nothing was heard of it. */
const checkEvery = 10

/** Creates the tasks of one process. */
export function createTasks(
  options: Required<TaskOptions> &
    Waiting & {
      records: TaskRecords
      registry: Registry
      services: CallServices
      signIns: SignIns
      clock: Clock
      /** Where changes of tasks are heard of, in whichever process. */
      changes: Pick<SharedChanges, 'onTask' | 'onGap'>
    },
): Tasks {
  const { records, registry, services, clock, pollIntervalMs } = options
  const running = new Map<string, RunningTask>()
  const access = createTaskAccess({ hasScopes: services.hasScopes, clock })
  const onError = (error: unknown) => services.log.error({ err: error }, 'task')
  const beginning = createTaskBeginning({ ...options, running, onError })

  /** A task that this caller began, and may still have. */
  const find = async (caller: Caller | ClientCaller | undefined, taskId: string) => {
    const principal = principalOf(caller)
    const state = await records.read(principal, taskId)
    const tool = state && registry.tool(state.tool)
    // What the caller may not call any more must not bring its result either.
    if (!tool || !(await access.mayHave(tool, caller, state.arguments))) return undefined
    return { principal, state }
  }

  /** Changes a task that is not over, and has its process look. False when this caller has no such task. */
  const change = async (
    caller: Caller | ClientCaller | undefined,
    taskId: string,
    next: (state: TaskState) => TaskState | undefined,
  ): Promise<boolean> => {
    const found = await find(caller, taskId)
    if (!found) return false
    const state = await records.update(found.principal, taskId, state =>
      isOver(state) ? undefined : next(state),
    )
    running.get(taskId)?.run.wake()
    return state !== undefined
  }

  const get: Tasks['get'] = async (caller, taskId) => {
    const found = await find(caller, taskId)
    if (!found) return undefined
    const state = isAbandoned(found.state, clock())
      ? await records.update(found.principal, taskId, state =>
          isAbandoned(state, clock()) ? endedState(state, abandoned, clock()) : undefined,
        )
      : found.state
    return state && detailedTask(taskId, state, pollIntervalMs)
  }

  return {
    async begin(tool, call) {
      if (tool.task === 'forbidden') return undefined
      if (!knowsTasks(call)) {
        if (tool.task === 'required') throw tasksRequired()
        return undefined
      }
      if (tool.taskCreation === 'by-handler') return beginning.byHandler(tool, call)
      return (await access.isRefused(tool, call)) ? undefined : beginning.atOnce(tool, call)
    },
    async toolOf(caller, taskId) {
      const state = await records.read(principalOf(caller), taskId)
      return state && registry.tool(state.tool)
    },
    get,
    watch: (caller, taskIds) =>
      watchTasks([...new Set(taskIds)].slice(0, options.maxPerCaller), {
        look: taskId => get(caller, taskId),
        keyOf: taskId => records.keyOf(principalOf(caller), taskId),
        changes: options.changes,
        checkMs: pollIntervalMs * checkEvery,
        onError,
      }),
    update: (caller, taskId, inputResponses) =>
      change(caller, taskId, state => answered(state, inputResponses, clock())),
    cancel: (caller, taskId) =>
      change(caller, taskId, state => endedState(state, { status: 'cancelled' }, clock())),
    endGrant(grantId) {
      for (const { run, caller } of running.values()) {
        if (caller?.grantId === grantId) run.end(revoked).catch(onError)
      }
    },
    async close() {
      const ended = failure('The server that ran this was stopped. Try again.')
      await Promise.all([...running.values()].map(({ run }) => run.end(ended, true)))
    },
  }
}
