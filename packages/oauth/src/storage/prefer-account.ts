import type { Clock, RandomBytes } from '../runtime.ts'
import { operationId } from './operation-id.ts'
import type { ConnectionKey, ConnectionStore } from './store.ts'

/** How often it is tried again because a refresh wrote in between. */
const maxRounds = 5

/**
 * Makes an account the one that tools use when they do not say which.
 *
 * @returns whether there is such a connection
 * @throws {StoreUnavailableError}
 */
export async function preferAccount(
  { store, clock, random }: { store: ConnectionStore; clock: Clock; random: RandomBytes },
  key: ConnectionKey,
): Promise<boolean> {
  for (let round = 1; round <= maxRounds; round++) {
    const now = clock()
    const all = await store.listConnections({ userId: key.userId, now })
    const before = all.find(each => each.provider === key.provider && each.account === key.account)
    if (!before) return false
    const { generation, ...record } = before
    // After every earlier choice, also one of the same second.
    const preferredAt = Math.max(now, ...all.map(each => (each.preferredAt ?? 0) + 1))
    const next = { ...record, preferredAt, writtenBy: operationId(random) }
    if ((await store.replaceConnection({ record: next, generation, now })) === 'replaced') return true
  }
  return false
}
