import type { Task, TaskKind } from '../records.ts'

/** The tasks of one kind for one provider, each queue by itself: one that stands still holds up no other. */
export interface TaskQueue {
  kind: TaskKind
  provider: string
}

/** Work without a caller, of which each task is done by one process at a time. */
export interface TaskStore {
  /** Writes a task. Unless it `replaces`, one that is there already stays as it is: `exists`. */
  putTask(step: { record: Task; replaces: boolean; now: number }): Promise<'stored' | 'exists'>
  /**
   * Claims at most `limit` tasks that are due, longest due first: until `until` nobody else gets them, and then they
   * are due again. `owner` is random for each claim, and the operation id of it; tasks come back as written by it.
   */
  claimTasks(step: TaskQueue & { owner: string; limit: number; until: number; now: number }): Promise<Task[]>
  /**
   * Writes `next` over a task, or deletes it when there is none, unless somebody else has written since `writtenBy`.
   * Sent again, it is `replaced` again.
   */
  replaceTask(
    step: TaskQueue & { id: string; writtenBy: string; next: Task | undefined; now: number },
  ): Promise<'replaced' | 'stale'>
  /**
   * Tasks of one kind, for all providers, page by page as `listAllConnections` has them; of these, claimed ones too.
   */
  listTasks(step: {
    kind: TaskKind
    cursor: string | undefined
    limit: number
    now: number
  }): Promise<TaskPage>
}

export interface TaskPage {
  tasks: Task[]
  /** Where the next page begins; undefined after the last. Opaque, and of use in the same walk only. */
  cursor: string | undefined
}
