import type { ProviderHost } from '@sallyport/mcp-server'
import { StoreUnavailableError, type Task, type TaskQueue } from '@sallyport/oauth'
import { base64url } from 'jose'
import { type AccountOfUser, keyOf } from './connection-vault.ts'

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

/** How long a task that was claimed may wait for its turn; later it is left for whoever claims it next, in seconds. */
const waitSeconds = claimSeconds / 2

/** A task about a connection, which has one of each kind; times in seconds since the epoch. */
export const connectionTask = (
  { random }: Pick<ProviderHost, 'random'>,
  queue: TaskQueue,
  { userId, account }: AccountOfUser,
  times: Pick<Task, 'dueAt' | 'expiresAt'>,
): Task => ({
  version: 1,
  ...queue,
  id: keyOf({ userId, account }),
  userId,
  account,
  writtenBy: base64url.encode(random(16)),
  ...times,
  attempts: 0,
})

/**
 * Does what is due in a queue, at most `parallel` at once, until nothing is due any more or `signal` says stop. What one
 * task throws leaves it to be done again when its claim ends, and one that takes long holds up no other.
 *
 * @throws {StoreUnavailableError} when the store does not answer
 * @throws what a task threw, which nothing should, once all others are done
 */
export async function workOff(
  { store, clock, random }: Pick<ProviderHost, 'store' | 'clock' | 'random'>,
  queue: TaskQueue,
  options: { parallel: number; signal?: AbortSignal | undefined },
  work: (task: Task) => Promise<Done>,
): Promise<void> {
  const { parallel, signal } = options
  const name = () => base64url.encode(random(16))
  const claimed: { task: Task; at: number }[] = []
  let isDone = false
  let claiming: Promise<void> | undefined
  let fault: { error: unknown } | undefined

  async function finish(task: Task) {
    const { next, tell, insists } = await work(task)
    const { kind, provider, id, writtenBy } = task
    const written = next && { ...task, ...next, writtenBy: name() }
    const step = { kind, provider, id, writtenBy, next: written, now: clock() }
    const outcome = await store.replaceTask(step)
    if (outcome === 'replaced') tell?.()
    else if (insists && written) await store.putTask({ record: written, replaces: true, now: clock() })
  }

  async function claim() {
    const now = clock()
    const until = now + claimSeconds
    const tasks = await store.claimTasks({ ...queue, owner: name(), limit: parallel, until, now })
    if (tasks.length < parallel) isDone = true
    claimed.push(...tasks.map(task => ({ task, at: now })))
  }

  /** The next task, of those that were claimed together: one trip to the store for all of them. */
  async function take(): Promise<Task | undefined> {
    while (!signal?.aborted) {
      const first = claimed.shift()
      if (first && clock() - first.at < waitSeconds) return first.task
      if (first) continue
      if (isDone) return undefined
      claiming ??= claim().finally(() => {
        claiming = undefined
      })
      await claiming
    }
    return undefined
  }

  async function worker() {
    try {
      for (let task = await take(); task; task = await take()) {
        await finish(task).catch(error => {
          if (error instanceof StoreUnavailableError) throw error
          fault ??= { error }
        })
      }
    } catch (error) {
      isDone = true
      claimed.length = 0
      throw error
    }
  }

  const results = await Promise.allSettled(Array.from({ length: parallel }, worker))
  for (const result of results) if (result.status === 'rejected') throw result.reason
  if (fault) throw fault.error
}
