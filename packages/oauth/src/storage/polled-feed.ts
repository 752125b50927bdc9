import type { RevocationFeed, RevocationWatcher } from './record-keeper.ts'
import type { Revocation } from './store.ts'

/** Where other processes leave their revocations, in the order in which they were committed. */
export interface RevocationSource {
  /** Position of the newest revocation; 0 when there is none. Throws when it cannot be read. */
  newest(): number
  /** Revocations after a position, undefined for an unreadable one. Throws when they cannot be read. */
  since(position: number): { position: number; revocation: Revocation | undefined }[]
}

export interface PolledFeed extends RevocationFeed {
  close(): void
}

/**
 * A revocation feed over a table that other processes write to: own revocations at once, others at the next poll.
 * A poll that fails says nothing, so that followers notice the silence.
 */
export function createPolledFeed(source: RevocationSource, pollIntervalMs: number): PolledFeed {
  const watchers = new Set<RevocationWatcher>()
  /** Made and announced here, not yet met by a poll. */
  const own = new Set<string>()
  let position = 0
  let timer: NodeJS.Timeout | undefined

  const read = <T>(step: () => T): T | undefined => {
    try {
      return step()
    } catch {
      return undefined
    }
  }
  const poll = () => {
    const found = read(() => source.since(position))
    if (!found) return
    for (const { position: at, revocation } of found) {
      position = at
      if (!revocation || own.delete(revocation.grantId)) continue
      for (const watcher of watchers) watcher.onRevoked(revocation)
    }
    for (const watcher of watchers) watcher.onSynced()
  }
  const stop = () => {
    clearInterval(timer)
    timer = undefined
    own.clear()
  }
  return {
    announce(revocations) {
      if (watchers.size === 0) return
      for (const revocation of revocations) {
        own.add(revocation.grantId)
        for (const watcher of watchers) watcher.onRevoked(revocation)
      }
    },
    watch(watcher) {
      // When the newest position cannot be read, the first poll that can announces all there are: too many is safe.
      if (watchers.size === 0) position = read(() => source.newest()) ?? 0
      watchers.add(watcher)
      poll()
      // It must not keep a process alive that is done.
      timer ??= setInterval(poll, pollIntervalMs).unref()
      return () => {
        watchers.delete(watcher)
        if (watchers.size === 0) stop()
      }
    },
    close() {
      watchers.clear()
      stop()
    },
  }
}
