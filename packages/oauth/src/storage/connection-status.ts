import type { Connection, ConnectionErrorClass } from './records.ts'

/**
 * How a connection does:
 * - `active`: it works
 * - `expiring`: it works, and within seven days the user must connect again
 * - `degraded`: its last refresh failed, and is tried again
 * - `misconfigured`: the provider refuses this server; only the deployer can mend it
 * - `needs_consent`: the user must connect again, or grant more
 * - `revoked`: the provider says that the grant is gone; the user must connect again
 */
export type ConnectionState =
  | 'active'
  | 'expiring'
  | 'degraded'
  | 'misconfigured'
  | 'needs_consent'
  | 'revoked'

/** What is known of a connection. Times are seconds since the epoch. */
export interface ConnectionStatus {
  state: ConnectionState
  /** What the user granted. */
  scopes: readonly string[]
  /** What a tool needed and the user has not granted. */
  missingScopes: readonly string[]
  /** When its tokens last came from the provider. */
  lastSuccessAt: number | undefined
  /** Why the last refresh failed; undefined when it succeeded. */
  lastErrorClass: ConnectionErrorClass | undefined
  lastErrorAt: number | undefined
  /** When the next refresh may begin; undefined when nothing stands in its way, or none will help. */
  nextAttemptAt: number | undefined
  /** When the user must connect again, where that is known. */
  consentEndsAt: number | undefined
}

/** How long before its end a connection that only the user can renew is `expiring`, in seconds. */
const expiringSeconds = 7 * 86_400

/** What a record says about its connection. */
export function connectionStatus(connection: Connection, now: number): ConnectionStatus {
  const { scopes, missingScopes = [], updatedAt, failure, consentEndsAt } = connection
  const state = stateOf(connection, now)
  const goesOn = state !== 'revoked' && state !== 'needs_consent'
  return {
    state,
    scopes,
    missingScopes,
    lastSuccessAt: updatedAt,
    lastErrorClass: failure?.errorClass,
    lastErrorAt: failure?.at,
    nextAttemptAt: goesOn && failure && failure.nextAttemptAt > now ? failure.nextAttemptAt : undefined,
    consentEndsAt,
  }
}

function stateOf({ state, endReason, consentEndsAt, failure }: Connection, now: number): ConnectionState {
  // Records of earlier versions tell no reason: then it was the provider.
  if (state === 'dead') return (endReason ?? 'revoked') === 'revoked' ? 'revoked' : 'needs_consent'
  if (consentEndsAt !== undefined && consentEndsAt <= now) return 'needs_consent'
  if (failure) return failure.errorClass === 'misconfigured' ? 'misconfigured' : 'degraded'
  return consentEndsAt !== undefined && consentEndsAt - now <= expiringSeconds ? 'expiring' : 'active'
}
