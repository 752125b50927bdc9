/** What a lease is for, and of what. */
export interface LeaseKey {
  kind: 'connection_refresh'
  id: string
}

export type ClaimOutcome =
  /** `isTakenOver`: the lease before it ended without being released, so what it was for may be half done. */
  | { outcome: 'claimed'; isTakenOver: boolean }
  | { outcome: 'held'; endsAt: number }
  /** The last one ended without being released, and the caller did not want it then. */
  | { outcome: 'abandoned' }

/** Leases: one owner at a time, across processes. What a late owner writes is stopped by generations, not by them. */
export interface LeaseStore {
  /**
   * Claims a lease until `endsAt`, unless another owner holds it. `owner` is random for each claim, and the operation
   * id of it. That a lease was not released is remembered for ten minutes after its end.
   */
  claimLease(
    step: LeaseKey & { owner: string; endsAt: number; takesOver: boolean; now: number },
  ): Promise<ClaimOutcome>
  /** Gives a lease back, if `owner` still holds it or was the last to. */
  releaseLease(step: LeaseKey & { owner: string; now: number }): Promise<void>
}

/** How long it is remembered that a lease was not released, in seconds. */
export const abandonedLeaseSeconds = 600
