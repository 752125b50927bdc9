import type { ProviderHost } from '@sallyport/mcp-server'
import { StoreUnavailableError, type Task, type TaskQueue } from '@sallyport/oauth'
import { base64url } from 'jose'

/** What came of a task. */
export interface Done {
  /** What changes about it, when it is to be done once more; absent: it is over. */
  next?: Partial<Pick<Task, 'dueAt' | 'attempts' | 'sealed' | 'accessEndsAt'>>
  /** Told once it is known that nobody else did it. */
  tell?: () => void
  /** It must be kept even if somebody wrote it meanwhile: it holds what is nowhere else. */
  insists?: boolean
}

/** How long one process may take for a task, in seconds: longer than a lease, or a request to a provider. */
const claimSeconds = 120

/**
 * Does what is due in a queue, at most `parallel` at once, until nothing is due any more or `signal` says stop. What one
 * task throws leaves it to be done again when its claim ends, and holds up no other.
 *
 * @throws {StoreUnavailableError} when the store does not answer
 */
export async function workOff(
  { store, clock, random }: Pick<ProviderHost, 'store' | 'clock' | 'random'>,
  queue: TaskQueue,
  options: { parallel: number; signal?: AbortSignal | undefined },
  work: (task: Task) => Promise<Done>,
): Promise<void> {
  const { parallel, signal } = options
  const name = () => base64url.encode(random(16))

  async function finish(task: Task) {
    const { next, tell, insists } = await work(task)
    const { kind, provider, id, writtenBy } = task
    const written = next && { ...task, ...next, writtenBy: name() }
    const step = { kind, provider, id, writtenBy, next: written, now: clock() }
    const outcome = await store.replaceTask(step)
    if (outcome === 'replaced') tell?.()
    else if (insists && written) await store.putTask({ record: written, replaces: true, now: clock() })
  }

  while (!signal?.aborted) {
    const now = clock()
    const until = now + claimSeconds
    const tasks = await store.claimTasks({ ...queue, owner: name(), limit: parallel, until, now })
    const results = await Promise.allSettled(tasks.map(finish))
    const lost = results.find(
      result => result.status === 'rejected' && result.reason instanceof StoreUnavailableError,
    )
    if (lost?.status === 'rejected') throw lost.reason
    if (tasks.length < parallel) return
  }
}
