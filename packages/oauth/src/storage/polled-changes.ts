import type { ChangeWatcher } from './store.ts'

/** How long an announced change lies where other processes look for it, in seconds. */
export const changeSeconds = 60

/** Where processes leave their changes, in the order in which they were committed. */
export interface ChangeSource {
  /** Position of the newest change; 0 when there is none. Throws when it cannot be read. */
  newest(): number
  /** Changes after a position. Throws when they cannot be read. */
  since(position: number): { position: number; sealed: string }[]
}

export interface PolledChanges {
  watch(watcher: ChangeWatcher): () => void
  /** Looks at once, so that who announced a change does not wait for the next look. */
  look(): void
  close(): void
}

/** Changes over a table that all processes write to: each is met by the next look, in the order of the table. */
export function createPolledChanges(source: ChangeSource, pollIntervalMs: number): PolledChanges {
  const watchers = new Set<ChangeWatcher>()
  let position = 0
  let lookedAt = 0
  let timer: NodeJS.Timeout | undefined

  const look = () => {
    if (watchers.size === 0) return
    let found: ReturnType<ChangeSource['since']>
    try {
      found = source.since(position)
    } catch {
      // The next look goes on where the last one stopped.
      return
    }
    const silentMs = performance.now() - lookedAt
    lookedAt = performance.now()
    for (const change of found) {
      position = change.position
      for (const watcher of watchers) watcher.onChange(change.sealed)
    }
    // Who was stopped for so long may find rows gone that it has not seen.
    if (silentMs > changeSeconds * 500) for (const watcher of watchers) watcher.onGap()
  }
  return {
    look,
    watch(watcher) {
      if (watchers.size === 0) {
        position = source.newest()
        lookedAt = performance.now()
      }
      watchers.add(watcher)
      // It must not keep a process alive that is done.
      timer ??= setInterval(look, pollIntervalMs).unref()
      return () => {
        watchers.delete(watcher)
        if (watchers.size > 0) return
        clearInterval(timer)
        timer = undefined
      }
    },
    close() {
      watchers.clear()
      clearInterval(timer)
      timer = undefined
    },
  }
}
