import { StoreUnavailableError } from '@sallyport/oauth'
import type { SharedChanges } from '../calls/shared-changes.ts'
import type { DetailedTask } from './task-state.ts'

/** Tasks that one caller follows. */
export interface TaskWatch {
  /** Those that they may follow. */
  readonly taskIds: readonly string[]
  /** Tells how each stands, now and when that has changed, until it has ended or the caller may have it no more. */
  start(tell: (task: DetailedTask) => void): void
  stop(): void
}

/**
 * Finds the tasks to follow. Each is looked at anew whenever there is news of it, so that nobody hears of a task what
 * they could not ask for; and now and then without news, because a process that dies tells nobody.
 *
 * @throws {StoreUnavailableError}
 */
export async function watchTasks(
  taskIds: readonly string[],
  options: {
    /** How a task stands for whoever follows it; undefined when they have no such task. */
    look: (taskId: string) => Promise<DetailedTask | undefined>
    /** What changes know it by. */
    keyOf: (taskId: string) => string
    changes: Pick<SharedChanges, 'onTask' | 'onGap'>
    /** How often a task is looked at without news of it, in milliseconds. */
    checkMs: number
    onError: (error: unknown) => void
  },
): Promise<TaskWatch> {
  const { look, changes, onError } = options
  const isThere = await Promise.all(taskIds.map(async taskId => (await look(taskId)) !== undefined))
  const found = taskIds.filter((_, index) => isThere[index])
  /** By key, those that have not ended. */
  const open = new Map(found.map(taskId => [options.keyOf(taskId), taskId]))
  let stops: (() => void)[] = []
  const stop = () => {
    for (const end of stops.splice(0)) end()
    open.clear()
  }

  return {
    taskIds: found,
    stop,
    start(tell) {
      const told = new Map<string, string>()
      /** Keys of tasks that are being looked at, and whether there was news meanwhile. */
      const looking = new Map<string, boolean>()
      const lookOnce = async (key: string, taskId: string) => {
        const task = await look(taskId)
        if (!open.has(key)) return
        if (!task) return void open.delete(key)
        const text = JSON.stringify(task)
        if (told.get(key) !== text) tell(task)
        told.set(key, text)
        if (task.status !== 'working' && task.status !== 'input_required') open.delete(key)
      }
      const lookAt = async (key: string) => {
        if (looking.has(key)) return void looking.set(key, true)
        for (let hasNews = true; hasNews; hasNews = looking.get(key) === true) {
          looking.set(key, false)
          const taskId = open.get(key)
          if (taskId === undefined) break
          try {
            await lookOnce(key, taskId)
          } catch (error) {
            // It is looked at again.
            if (!(error instanceof StoreUnavailableError)) onError(error)
          }
        }
        looking.delete(key)
        if (open.size === 0) stop()
      }
      const lookAtAll = () => {
        for (const key of [...open.keys()]) void lookAt(key)
      }
      const timer = setInterval(lookAtAll, options.checkMs).unref()
      stops = [changes.onTask(key => void lookAt(key)), changes.onGap(lookAtAll), () => clearInterval(timer)]
      lookAtAll()
    },
  }
}
