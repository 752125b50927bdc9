/** What an id is of. */
export type SingleUseKind = 'connect-link' | 'jti' | 'request-state' | 'security-event'

export interface SingleUseStore {
  /** Marks an id as used until `expiresAt`. `used` when it was before, by another operation. */
  claimSingleUse(step: {
    kind: SingleUseKind
    idHash: string
    expiresAt: number
    operationId: string
    now: number
  }): Promise<'claimed' | 'used'>
  /** Whether an id is marked as used: for work that may be done again until it has succeeded once. Marks nothing. */
  isSingleUseClaimed(step: { kind: SingleUseKind; idHash: string; now: number }): Promise<boolean>
}
