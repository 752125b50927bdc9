/**
 * Port: what a provider tells about accounts of its own, as security event tokens (SET). The provider knows how to read
 * them and what of its tokens is worth nothing then; sessions are ours.
 */

/** What happened, in words of ours; `unknown`: something that is no concern here. */
export type SecurityEventName =
  | 'sessions_revoked'
  | 'tokens_revoked'
  | 'token_revoked'
  | 'account_disabled'
  | 'account_enabled'
  | 'credential_change_required'
  | 'verification'
  | 'unknown'

/** One event that a provider tells. */
export interface SecurityEvent {
  readonly name: SecurityEventName
  /** Whose account there it is about, as sign-ins name it: issuer in its canonical form, and subject. */
  readonly account?: { readonly issuer: string; readonly subject: string }
  /** Hash of what the provider calls the one refresh token it is about. */
  readonly tokenHash?: string
  /** The provider's own word for why. */
  readonly reason?: string
  /** Of a verification: what the deployer asked the provider to send. */
  readonly marker?: string
  /** What must not go on: sessions of who signed in with the account, connections to it. */
  readonly ends: readonly ('sessions' | 'connections')[]
}

/** A security event token whose origin is proven. */
export interface SecurityEventToken {
  /** Its `jti`: the same token may be sent more than once. */
  readonly id: string
  /** When it was issued, seconds since the epoch. */
  readonly issuedAt: number
  readonly events: readonly SecurityEvent[]
}

/** Reads what one provider tells. */
export interface SecurityEventReceiver {
  /** How long after its `issuedAt` a token may still come, in seconds: as long its id is remembered. */
  readonly maxAgeSeconds: number
  /**
   * Verifies a security event token.
   *
   * @throws {SecurityEventError}
   * @see RFC 8417 §2
   */
  read(token: string): Promise<SecurityEventToken>
  /**
   * Ends the connections an event is about, but for those made later than `before` (seconds since the epoch). Doing it
   * again is safe. Resolves to how many ended.
   *
   * @throws {StoreUnavailableError}
   * @throws {SecurityEventError} `unavailable`
   */
  endConnections(event: SecurityEvent, before: number): Promise<number>
}

/** Why a security event token is not taken (RFC 8935 §2.4); `unavailable`: it cannot be judged now. */
export type SecurityEventProblem =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed'
  | 'unavailable'

/** A security event token that is not taken. The reason for us travels in `cause`. */
export class SecurityEventError extends Error {
  override readonly name = 'SecurityEventError'
  readonly problem: SecurityEventProblem
  constructor(problem: SecurityEventProblem, options?: ErrorOptions) {
    super(`security event token refused: ${problem}`, options)
    this.problem = problem
  }
}
