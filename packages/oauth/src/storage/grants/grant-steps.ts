import type { Grant, RevocationReason } from '../records.ts'
import type { GrantStore, RedeemOutcome, RotateOutcome } from './grant-store.ts'

/**
 * The rules of a token family, pure: record and step in, record and outcome out. Every adapter keeps these rules;
 * they differ only in how they keep the record. `grant` is the very object passed in when nothing changed.
 */
export interface GrantStep<Outcome> {
  grant: Grant
  outcome: Outcome
}

type Refresh = NonNullable<Grant['refresh']>
type Step<Method extends keyof GrantStore> = Omit<Parameters<GrantStore[Method]>[0], 'operationId'>

/**
 * End of the record, in seconds since the epoch: when neither its code nor any token of the family can live any
 * longer. Until then retired tokens are remembered, revoked or not (R106).
 */
export function grantEndsAt(grant: Grant): number {
  return Math.max(grant.code.expiresAt, grant.accessEndsAt, grant.refresh?.idleEndsAt ?? 0)
}

/** Redeems the authorization code, once; a second redemption revokes the family (RFC 6749 §4.1.2, R95, R96). */
export function redeemCode(grant: Grant, step: Step<'redeemCode'>): GrantStep<RedeemOutcome> {
  const { now, refresh } = step
  // R97: a guess with the right family id changes nothing.
  if (step.codeHash !== grant.code.hash) return { grant, outcome: 'unknown' }
  if (grant.revokedAt !== undefined) return { grant, outcome: 'revoked' }
  if (grant.code.redeemedAt !== undefined) {
    return { grant: revoked(grant, 'code_replayed', now), outcome: 'replayed' }
  }
  if (grant.code.expiresAt <= now || isOver(grant, now)) return { grant, outcome: 'expired' }
  return {
    grant: {
      ...grant,
      code: { ...grant.code, redeemedAt: now },
      accessEndsAt: Math.max(grant.accessEndsAt, step.accessEndsAt),
      ...(refresh && {
        refresh: {
          generation: 0,
          currentHash: refresh.hash,
          idleEndsAt: capped(grant, refresh.idleEndsAt),
        },
      }),
    },
    outcome: 'redeemed',
  }
}

/** Counts a wrong verifier for a code that could still be redeemed; at the limit the code ends (R102). */
export function countFailedRedemption(
  grant: Grant,
  step: Step<'countFailedRedemption'>,
): GrantStep<'counted' | 'ignored'> {
  const { code } = grant
  // R97: once redeemed, a wrong verifier must not touch the family that came of it.
  if (step.codeHash !== code.hash || code.redeemedAt !== undefined || grant.revokedAt !== undefined) {
    return { grant, outcome: 'ignored' }
  }
  const failures = code.failures + 1
  const expiresAt = failures >= step.limit ? Math.min(code.expiresAt, step.now) : code.expiresAt
  return { grant: { ...grant, code: { ...code, failures, expiresAt } }, outcome: 'counted' }
}

/** Rotates the refresh token: read, check and write as one transition (R104). */
export function rotateRefreshToken(grant: Grant, step: Step<'rotateRefreshToken'>): GrantStep<RotateOutcome> {
  const { refresh } = grant
  const { presentedHash, now } = step
  const isCurrent = presentedHash === refresh?.currentHash
  const isPrevious = presentedHash === refresh?.previousHash
  // R97: an unproven hash must not end a session.
  if (!refresh || !(isCurrent || isPrevious || step.genuine))
    return { grant, outcome: { outcome: 'unknown' } }
  if (grant.revokedAt !== undefined) return { grant, outcome: { outcome: 'revoked' } }
  const hasEnded = refresh.idleEndsAt <= now
  if (isCurrent) {
    if (hasEnded) return { grant, outcome: { outcome: 'expired' } }
    return { grant: rotated(grant, refresh, step), outcome: { outcome: 'rotated' } }
  }
  // R105: only the token before the current one, for a bounded time, with the identical reply, extending nothing.
  if (isPrevious && isInGrace(refresh, step)) {
    if (hasEnded) return { grant, outcome: { outcome: 'expired' } }
    return { grant, outcome: { outcome: 'grace', replay: refresh.replay! } }
  }
  // R103: a token that was rotated away is in two hands.
  return { grant: revoked(grant, 'refresh_token_reused', now), outcome: { outcome: 'reused' } }
}

/** Ends the family. */
export function revokeGrant(grant: Grant, step: Step<'revokeGrant'>): GrantStep<'revoked' | 'already'> {
  if (grant.revokedAt !== undefined) return { grant, outcome: 'already' }
  return { grant: revoked(grant, step.reason, step.now), outcome: 'revoked' }
}

function rotated(grant: Grant, refresh: Refresh, step: Step<'rotateRefreshToken'>): Grant {
  return {
    ...grant,
    accessEndsAt: Math.max(grant.accessEndsAt, step.accessEndsAt),
    refresh: {
      generation: refresh.generation + 1,
      currentHash: step.successorHash,
      previousHash: step.presentedHash,
      rotatedAt: step.now,
      replay: step.replay,
      idleEndsAt: capped(grant, step.idleEndsAt),
    },
  }
}

function isInGrace(refresh: Refresh, step: Step<'rotateRefreshToken'>): boolean {
  if (refresh.replay === undefined || refresh.rotatedAt === undefined) return false
  // With a grace of 0 there is none, also when another machine's clock is ahead.
  return step.graceSeconds > 0 && step.now < refresh.rotatedAt + step.graceSeconds
}

function revoked(grant: Grant, reason: RevocationReason, now: number): Grant {
  return { ...grant, revokedAt: now, revokedBy: reason }
}

function isOver({ endsAt }: Grant, now: number): boolean {
  return endsAt !== 0 && endsAt <= now
}

/** R110: no step moves a refresh token past the absolute end of its family. */
function capped({ endsAt }: Grant, idleEndsAt: number): number {
  return endsAt === 0 ? idleEndsAt : Math.min(idleEndsAt, endsAt)
}
