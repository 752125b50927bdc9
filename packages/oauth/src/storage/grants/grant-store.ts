import type { Grant, Revocation, RevocationReason } from '../records.ts'

export type RedeemOutcome = 'redeemed' | 'replayed' | 'expired' | 'revoked' | 'unknown'

export type RotateOutcome =
  | { outcome: 'rotated' }
  /** The token before the current one, within the grace: `replay` is the sealed reply of that rotation. */
  | { outcome: 'grace'; replay: string }
  /** A token that had been rotated away: the family is revoked by this step. */
  | { outcome: 'reused' }
  | { outcome: 'expired' | 'revoked' | 'unknown' }

export interface GrantStore {
  /** Opens a token family in the state "authorization code issued". It ends with the code unless redeemed. */
  putGrant(step: { record: Grant; now: number }): Promise<void>
  findGrant(step: { id: string; now: number }): Promise<Grant | undefined>
  /** Families of a user or a client that have not ended and are not revoked, newest first. */
  listGrants(step: ({ userId: string } | { clientId: string }) & { now: number }): Promise<Grant[]>
  /**
   * Redeems the authorization code, once. The caller has checked client, verifier, redirect URI and resource
   * before. A second redemption is `replayed` and revokes the family in the same step (RFC 6749 §4.1.2).
   * The record then lives as long as any token of the family may.
   */
  redeemCode(step: {
    id: string
    codeHash: string
    operationId: string
    now: number
    /** First refresh token and its idle end; absent for a client that may not refresh. */
    refresh?: { hash: string; idleEndsAt: number }
    /** `exp` of the access token issued with it. */
    accessEndsAt: number
  }): Promise<RedeemOutcome>
  /** Counts a wrong verifier for a valid code; at `limit` the code is spent (R102). Revokes nothing. */
  countFailedRedemption(step: {
    id: string
    codeHash: string
    limit: number
    operationId: string
    now: number
  }): Promise<void>
  /**
   * Rotates the refresh token: claims `presentedHash`, installs `successorHash`, stores `replay`.
   * Presented again within `graceSeconds` and before the successor was used, the stored reply is returned and
   * nothing changes. A hash that is neither current nor in grace revokes the family when `genuine` (the token
   * is proven to be ours), and is `unknown` otherwise, so that a guessed token cannot end a session (R97).
   */
  rotateRefreshToken(step: {
    id: string
    presentedHash: string
    genuine: boolean
    successorHash: string
    replay: string
    graceSeconds: number
    /** New idle end; the store caps it at the absolute end of the family. */
    idleEndsAt: number
    accessEndsAt: number
    operationId: string
    now: number
  }): Promise<RotateOutcome>
  /** Ends a family at once and announces it on the revocation feed. */
  revokeGrant(step: {
    id: string
    reason: RevocationReason
    operationId: string
    now: number
  }): Promise<'revoked' | 'already' | 'unknown'>
  /**
   * Ends all families of a user, of a client, or of the tenant, page by page, each at once as `revokeGrant` does:
   * `cursor` is undefined for the first page, then what the page before returned. A family that is there during the
   * whole walk is ended, one that is opened meanwhile perhaps; a walk that broke off is begun again. `limit` is about
   * how many families one page looks at; a page may be empty and not the last. Each page has an `operationId` of its
   * own.
   */
  revokeGrants(step: {
    of: { userId: string } | { clientId: string } | 'tenant'
    reason: RevocationReason
    cursor: string | undefined
    limit: number
    operationId: string
    now: number
  }): Promise<RevokedPage>
  /** Revoked families that may still have a live access token. */
  listRevocations(step: { now: number }): Promise<Revocation[]>
  /**
   * Follows revocations made by any process on this store: in this process at once, in others within a second.
   * `onSynced` is called each time the feed is known to be complete up to now.
   */
  watchRevocations(watcher: { onRevoked: (revocation: Revocation) => void; onSynced: () => void }): () => void
}

export interface RevokedPage {
  /** Ids of the families that this page has ended. */
  revoked: string[]
  /** Where the next page begins; undefined after the last. Opaque, and of use in the same walk only. */
  cursor: string | undefined
}
