import type { Grant } from '../records.ts'

/** How much of everything there is, without what has ended. */
export interface StoreStats {
  /** Token families that are not revoked. */
  grants: number
  /** Those among them that have an access token which has not ended. */
  grantsWithAccess: number
  connections: { active: number; dead: number }
  /** Sign-ins under way. */
  pendingAuthorizations: number
  signingKeys: number
}

export interface StatisticsStore {
  /** Counts what there is. It looks at every record: for an operator now and then, not for a health check. */
  stats(step: { now: number }): Promise<StoreStats>
}

/** About how many records are read at once where all are. */
export const walkPageSize = 500

/** Counts a family as the statistics do. */
export function countGrant(
  stats: Pick<StoreStats, 'grants' | 'grantsWithAccess'>,
  grant: Pick<Grant, 'revokedAt' | 'accessEndsAt'>,
  now: number,
): void {
  if (grant.revokedAt !== undefined) return
  stats.grants++
  if (grant.accessEndsAt > now) stats.grantsWithAccess++
}
