import type { Connection } from './records.ts'

/**
 * One user's connections at one provider, the default first: the one that is meant where nobody says which account. That
 * is the one the user chose last, else the oldest. It stays the same when it dies, so that nothing is done to another
 * account than before without a word.
 */
export function rankConnections(connections: readonly Connection[]): Connection[] {
  return [...connections].sort(
    (a, b) =>
      (b.preferredAt ?? 0) - (a.preferredAt ?? 0) ||
      // Records of earlier versions do not say, and were there before all others.
      (a.connectedAt ?? 0) - (b.connectedAt ?? 0) ||
      (a.account < b.account ? -1 : 1),
  )
}
