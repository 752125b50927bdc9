import type { CallTask } from '../records.ts'
import type { TaskStore } from '../tasks/task-store.ts'

/** Which task, of which caller: nobody finds it under another caller's name. */
export interface CallTaskKey {
  callerHash: string
  idHash: string
}

/**
 * Tasks of callers (MCP, `io.modelcontextprotocol/tasks`): calls that go on after they were answered. Not to be taken for
 * the work without a caller in {@link TaskStore}.
 */
export interface CallTaskStore {
  /** `full` when the caller has `limit` tasks that have not ended: nothing is stored, none is evicted. */
  putCallTask(step: {
    record: Omit<CallTask, 'generation'>
    limit: number
    now: number
  }): Promise<'stored' | 'full'>
  findCallTask(step: CallTaskKey & { now: number }): Promise<CallTask | undefined>
  /**
   * Writes only when the stored generation is still `generation`; the record then carries `generation + 1`. A task keeps
   * its end. Sent again, it is `replaced` again; `stale` also when there is no such task.
   */
  replaceCallTask(
    step: CallTaskKey & { sealed: string; generation: number; now: number },
  ): Promise<'replaced' | 'stale'>
}
