/** Whoever follows what the processes on a store tell each other. */
export interface ChangeWatcher {
  /** Gets what any process announced, this one too; in a cluster of Redis not always in order. */
  onChange: (sealed: string) => void
  /** Something may have been missed: it is not told again. */
  onGap: () => void
}

/** News for all processes on a store. Nothing is kept for those who come later. */
export interface ChangeStore {
  /** Tells all processes that follow, at least once; the store sees nothing of what it says. */
  announceChange(step: { sealed: string; now: number }): Promise<void>
  /** Follows what is announced from now on: by any process on this store, within a second. */
  watchChanges(watcher: ChangeWatcher): () => void
}
