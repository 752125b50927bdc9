import { type CallToolResult, isInputRequiredResult, ProtocolError } from '@modelcontextprotocol/server'
import { type Clock, StoreUnavailableError } from '@sallyport/oauth'
import type { CallServices } from '../calls/perform.ts'
import type { SharedChanges } from '../calls/shared-changes.ts'
import type { Waiting } from '../elicit/exchange.ts'
import { anybody, principalOf } from '../principal.ts'
import type { Registry } from '../registry.ts'
import type { Call, Caller, ClientCaller } from '../tools/call-context.ts'
import { callTool } from '../tools/call-tool.ts'
import type { Tool } from '../tools/define-tool.ts'
import { ToolError } from '../tools/tool-error.ts'
import { errorResult } from '../tools/tool-result.ts'
import { isWanted, type SignIns } from './is-wanted.ts'
import { createTaskAccess } from './task-access.ts'
import { type BegunTask, callUntilTask, taskCall } from './task-call.ts'
import { createTaskExchange } from './task-exchange.ts'
import type { TaskOptions } from './task-options.ts'
import type { TaskRecords } from './task-records.ts'
import {
  abandoned,
  answered,
  createTaskRun,
  isAbandoned,
  leaseEnd,
  lookEveryMs,
  revoked,
  type TaskRun,
} from './task-run.ts'
import {
  type DetailedTask,
  detailedTask,
  endedState,
  failure,
  isOver,
  type TaskEnd,
  type TaskState,
  taskSummary,
} from './task-state.ts'
import { type TaskWatch, watchTasks } from './task-watch.ts'
import { capabilitiesOf, knowsTasks, tasksRequired, unavailable } from './tasks-extension.ts'

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

/** A task that was made, and what follows. */
interface Created {
  task: BegunTask
  /** What the client is told. */
  answer: object
  /** What it ends with. */
  endWith(work: ReturnType<typeof callTool>): void
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
  const { records, registry, services, signIns, clock, timing, stopping, pollIntervalMs } = options
  const running = new Map<string, { run: TaskRun; caller: Caller | ClientCaller | undefined }>()
  const access = createTaskAccess({ hasScopes: services.hasScopes, clock })
  const onError = (error: unknown) => services.log.error({ err: error }, 'task')

  /** A task that this caller began, and may still have. */
  const find = async (caller: Caller | ClientCaller | undefined, taskId: string) => {
    const principal = principalOf(caller)
    const state = await records.read(principal, taskId)
    const tool = state && registry.tool(state.tool)
    // What the caller may not call any more must not bring its result either.
    if (!tool || !(await access.mayHave(tool, caller, state.arguments))) return undefined
    return { principal, state }
  }

  /** Makes the task of a call, and stays at it. */
  async function create(tool: Tool, call: Call): Promise<Created> {
    const { caller } = call
    const now = clock()
    const state: TaskState = {
      version: 1,
      tool: tool.name,
      ...(tool.rule?.allow && { arguments: { ...(call.params.arguments as object | undefined) } }),
      status: 'working',
      createdAt: now,
      lastUpdatedAt: now,
      ttlSeconds: options.ttlSeconds,
      leaseEndsAt: leaseEnd(now),
      inputRequests: {},
      inputResponses: {},
    }
    const principal = principalOf(caller)
    const limit = principal === anybody ? options.maxAnonymous : options.maxPerCaller
    const taskId = await records.create(principal, state, limit)
    if (taskId === undefined) {
      throw new ToolError('Too many tasks are kept for you. Wait until some have ended.')
    }
    const run = createTaskRun({
      records,
      principal,
      taskId,
      isWanted: () => isWanted(caller, { signIns, clock }),
      lookMs: lookEveryMs(pollIntervalMs),
      clock,
      onError,
    })
    const capabilities = capabilitiesOf(call)
    const exchange = createTaskExchange(run, { capabilities, timing, stopping, signal: run.signal })
    running.set(taskId, { run, caller })
    return {
      task: { run, exchange },
      answer: { resultType: 'task', ...taskSummary(taskId, state, pollIntervalMs) },
      endWith: work => {
        endOf(tool, work)
          .then(end => run.end(end))
          .catch(onError)
          .finally(() => running.delete(taskId))
      },
    }
  }

  async function endOf(tool: Tool, work: ReturnType<typeof callTool>): Promise<TaskEnd> {
    try {
      const result = await work
      if (!isInputRequiredResult(result)) return { status: 'completed', result: kept(tool, result) }
      services.log.error({ tool: tool.name }, 'a task asks with ctx.elicit, not with a result')
      return failure('The tool asked in a way that tasks have not.')
    } catch (error) {
      if (!(error instanceof ProtocolError)) {
        onError(error)
        return failure('Internal error')
      }
      const { code, message, data } = error
      return {
        status: 'failed',
        error: { code, message, ...(data !== undefined && { data }) },
        statusMessage: message,
      }
    }
  }

  /** What is too large is lost: the model must learn that the work is done nevertheless. */
  function kept(tool: Tool, result: CallToolResult): Record<string, unknown> {
    const { maxResultBytes } = options
    const bytes = Buffer.byteLength(JSON.stringify(result))
    if (bytes <= maxResultBytes) return { ...result }
    services.log.error(
      { tool: tool.name, bytes, maxResultBytes },
      'the result of a task is too large: return less, or raise tasks.maxResultBytes',
    )
    return {
      ...errorResult(
        `${tool.name} has done its work, but its result of ${bytes} bytes is lost: this server keeps at most ${maxResultBytes} bytes of a task.`,
      ),
    }
  }

  /** The call is a task before its handler runs. */
  async function beginAtOnce(tool: Tool, call: Call): Promise<object> {
    let created: Created
    try {
      created = await create(tool, call)
    } catch (error) {
      if (error instanceof StoreUnavailableError) return { ...errorResult(unavailable) }
      if (error instanceof ToolError) return { ...errorResult(error.message) }
      throw error
    }
    created.endWith(callTool(tool, taskCall(call, created.task), services))
    return created.answer
  }

  /** The handler says when, if ever: the call is answered with the task, or with what its handler made of it. */
  const beginByHandler = (tool: Tool, call: Call): Promise<object> =>
    new Promise((resolve, reject) => {
      let created: Created | undefined
      const until = callUntilTask(
        call,
        async () => {
          created = await create(tool, call)
          return created.task
        },
        () => {
          created?.endWith(work)
          resolve(created?.answer ?? {})
        },
      )
      const work = callTool(tool, until, services)
      work.then(resolve, reject)
    })

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
      if (tool.taskCreation === 'by-handler') return beginByHandler(tool, call)
      return (await access.isRefused(tool, call)) ? undefined : beginAtOnce(tool, call)
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
    async update(caller, taskId, inputResponses) {
      const found = await find(caller, taskId)
      if (!found) return false
      const { principal } = found
      const state = await records.update(principal, taskId, state =>
        isOver(state) ? undefined : answered(state, inputResponses, clock()),
      )
      running.get(taskId)?.run.wake()
      return state !== undefined
    },
    async cancel(caller, taskId) {
      const found = await find(caller, taskId)
      if (!found) return false
      const { principal } = found
      const state = await records.update(principal, taskId, state =>
        isOver(state) ? undefined : endedState(state, { status: 'cancelled' }, clock()),
      )
      running.get(taskId)?.run.wake()
      return state !== undefined
    },
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
