import { type Clock, StoreUnavailableError } from '@sallyport/oauth'
import { type ActiveConnection, keyOf } from './connection-vault.ts'

/** How often a process notes that a connection is in use, in seconds. */
const noteSeconds = 3600

/** How many notes a process remembers; forgetting one costs a write. */
const maxNotes = 20_000

/**
 * Creates what is told whenever a tool gets a connection's token, and plans what follows now and then. It costs next to
 * nothing, and nobody waits for the plan.
 */
export function createUseNotes(
  clock: Clock,
  plan: (held: ActiveConnection) => Promise<void>,
): (held: ActiveConnection) => void {
  const notes = new Map<string, number>()
  return held => {
    const id = keyOf(held.connection)
    const now = clock()
    const last = notes.get(id)
    if (last !== undefined && now - last < noteSeconds) return
    // Put last, so that the first one is the oldest.
    notes.delete(id)
    if (notes.size >= maxNotes) notes.delete(notes.keys().next().value!)
    notes.set(id, now)
    plan(held).catch(error => {
      // The next use plans it; until then a refresh waits for its caller.
      notes.delete(id)
      if (!(error instanceof StoreUnavailableError)) throw error
    })
  }
}
