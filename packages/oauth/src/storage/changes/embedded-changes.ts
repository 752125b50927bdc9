import type { EmbeddedSteps } from '../embedded-steps.ts'
import type { ChangeStore } from './change-store.ts'

export function createEmbeddedChanges({ keeper, assertOpen }: EmbeddedSteps): ChangeStore {
  return {
    // No step: nothing depends on it, and there is no record to find.
    async announceChange({ sealed, now }) {
      assertOpen()
      keeper.changes.announce(sealed, now)
    },
    watchChanges(watcher) {
      assertOpen()
      return keeper.changes.watch(watcher)
    },
  }
}
