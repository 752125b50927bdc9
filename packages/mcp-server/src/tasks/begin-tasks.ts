import { type Clock, StoreUnavailableError } from '@sallyport/oauth'
import type { CallServices } from '../calls/perform.ts'
import type { Waiting } from '../elicit/exchange.ts'
import { anybody, principalOf } from '../principal.ts'
import type { Call, Caller, ClientCaller } from '../tools/call-context.ts'
import { callTool } from '../tools/call-tool.ts'
import type { Tool } from '../tools/define-tool.ts'
import { ToolError } from '../tools/tool-error.ts'
import { errorResult } from '../tools/tool-result.ts'
import { endOfWork } from './end-of-work.ts'
import { isWanted, type SignIns } from './is-wanted.ts'
import { type BegunTask, callUntilTask, taskCall } from './task-call.ts'
import { createTaskExchange } from './task-exchange.ts'
import type { TaskOptions } from './task-options.ts'
import type { TaskRecords } from './task-records.ts'
import { createTaskRun, leaseEnd, lookEveryMs, type TaskRun } from './task-run.ts'
import { type TaskState, taskSummary } from './task-state.ts'
import { capabilitiesOf, unavailable } from './tasks-extension.ts'

/** A task that runs in this process, and who began it. */
export interface RunningTask {
  readonly run: TaskRun
  readonly caller: Caller | ClientCaller | undefined
}

/** Makes tasks of calls. Both answer with what the client is told, which may be a result after all. */
export interface TaskBeginning {
  /** The call is a task before its handler runs. */
  atOnce(tool: Tool, call: Call): Promise<object>
  /** The handler says when, if ever: the call is answered with the task, or with what its handler made of it. */
  byHandler(tool: Tool, call: Call): Promise<object>
}

/** A task that was made, and what follows. */
interface Created {
  task: BegunTask
  /** What the client is told. */
  answer: object
  /** What it ends with. */
  endWith(work: ReturnType<typeof callTool>): void
}

/**
 * Creates what begins the tasks of one process.
 *
 * @param options.running where they are found, by id, for as long as they run
 */
export function createTaskBeginning(
  options: Required<TaskOptions> &
    Waiting & {
      records: TaskRecords
      services: CallServices
      signIns: SignIns
      running: Map<string, RunningTask>
      clock: Clock
      onError: (error: unknown) => void
    },
): TaskBeginning {
  const { records, services, signIns, running, clock, timing, stopping, onError } = options
  const { pollIntervalMs, maxResultBytes } = options

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
        endOfWork(tool, work, { maxResultBytes, log: services.log })
          .then(end => run.end(end))
          .catch(onError)
          .finally(() => running.delete(taskId))
      },
    }
  }

  return {
    async atOnce(tool, call) {
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
    },
    byHandler: (tool, call) =>
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
      }),
  }
}
