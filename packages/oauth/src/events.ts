import type { LimitedBy, LimitName } from './limits/limit-table.ts'
import type { LoginProblem } from './login.ts'
import type { SecurityEventName, SecurityEventProblem } from './security-events.ts'
import type { ConnectionState } from './storage/connection-status.ts'
import type { RevocationReason } from './storage/records.ts'

/** What looks like an attack, and may be something else: for alerts, nothing is refused because of it. */
export type SuspicionKind =
  /** A client, or one source, fails to authenticate again and again. */
  | 'many_failed_client_authentications'
  /** One session is refreshed from two sources within a minute. */
  | 'refresh_from_two_sources'
  /** One session is refreshed far more often than its access tokens end. */
  | 'unusual_refresh_rate'
  /** A refresh token or a code came a second time; its session has been ended. */
  | 'refresh_token_reused'
  | 'code_replayed'

/**
 * Why an assertion about a user (ID-JAG) was not taken, for the operator; the client hears the same of all.
 * - `issuer`: it is from none that is trusted; of what an untrusted one says, nothing is told;
 * - `client`, `resource`, `tenant`, `audience`: it is for another one;
 * - `constraint`: it may be used in one way only (`cnf`, `authorization_details`) that is not supported.
 */
export type AssertionProblem =
  | 'malformed'
  | 'issuer'
  | 'algorithm'
  | 'audience'
  | 'client'
  | 'time'
  | 'tenant'
  | 'constraint'
  | 'signature'
  | 'resource'
  | 'replayed'

/** Which connection an event is about. */
interface ConnectionOfEvent {
  userId: string
  provider: string
  /**
   * Which of the user's accounts there, as `server.admin.listConnections` and `accounts` of a call name it: a hash under
   * the server's secret, so that nobody who reads events can test which account it is.
   */
  account: string
}

/**
 * Everything worth telling about, as one closed union. Audit log, metrics and alerts are sinks of this list.
 * An event carries ids and hashes; it has no field that a token, code or secret could be put in.
 */
export type SallyportEvent =
  | { type: 'client_registered'; clientIdHash: string }
  | { type: 'client_deleted'; clientIdHash: string; by: 'administrator' }
  | { type: 'user_disabled' | 'user_enabled'; userId: string; by: 'administrator' }
  /** Every session of the tenant is being ended; `family_revoked` follows for each. */
  | { type: 'tenant_revoked'; by: 'administrator' }
  | { type: 'consent_shown' | 'consent_granted' | 'consent_denied'; clientIdHash: string }
  /** `loginId`: the provider's; of a sign-in by assertion the issuer, or `id-jag` when it is none that is trusted. */
  | { type: 'sign_in_succeeded'; loginId: string; userId: string }
  | {
      type: 'sign_in_failed'
      loginId: string
      reason:
        | 'denied'
        | 'disabled'
        | 'failed'
        | 'unavailable'
        | 'too_many_accounts'
        | 'wrong_browser'
        | 'wrong_user'
        | 'too_old'
      /** What stood in the way, where it is known; of a sign-in by assertion, what was wrong with it. */
      errorClass?: AssertionProblem | LoginProblem
      /** Of a sign-in by assertion: who brought it. */
      clientIdHash?: string
    }
  | { type: 'code_issued' | 'code_replayed'; grantId: string; userId: string; clientIdHash: string }
  | {
      type: 'token_issued' | 'token_rotated' | 'token_replayed_in_grace'
      grantId: string
      userId: string
      clientIdHash: string
    }
  | { type: 'refresh_token_reused'; grantId: string; userId: string; clientIdHash: string }
  | { type: 'family_revoked'; grantId: string; by: RevocationReason }
  /** A proof of possession came a second time. `jkt`: the thumbprint of its key. */
  | { type: 'dpop_proof_replayed'; jkt: string }
  | { type: 'client_authentication_failed'; clientIdHash: string }
  | { type: 'signing_key_created'; kid: string }
  /** `retiresAt`: when it leaves the JWKS, seconds since the epoch. */
  | { type: 'signing_key_retired'; kid: string; retiresAt: number }
  /** A signer outside (HSM, KMS) gave no signature. */
  | { type: 'signer_failed'; kid: string; errorName: string }
  | (ConnectionOfEvent &
      (
        | { type: 'connection_made' }
        /** `by`: who ended it, when it was not the provider. */
        | { type: 'connection_ended'; by?: 'user' | 'administrator' }
        /** Only the user can renew it: told 7, 3 and 1 days before `endsAt` (seconds since the epoch), each once. */
        | { type: 'connection_expiring'; daysLeft: number; endsAt: number }
        /** The provider has taken back what a connection that ended here was for. */
        | { type: 'grant_revoked_upstream' }
        /**
         * It did not, and is not asked again: it refuses, has not answered for days, or the tokens cannot be read any
         * more.
         */
        | { type: 'upstream_revocation_failed'; errorClass: 'refused' | 'expired' | 'unreadable' }
        | { type: 'connection_refreshed'; generation: number }
        | { type: 'connection_refresh_failed'; errorClass: string }
        /** How a connection does has changed; `nextAttemptAt`: when its next refresh may begin, seconds since the epoch. */
        | {
            type: 'connection_changed'
            /** Not called `state`: OAuth has a secret of that name, which logs redact. */
            condition: ConnectionState
            errorClass?: string
            nextAttemptAt?: number
          }
      ))
  /**
   * A provider tells what happened to an account (RISC). `sessions`, `connections`: how many ended by it; `family_revoked`
   * and `connection_ended` tell which. `marker`: what the deployer had sent for a test.
   */
  | {
      type: 'security_event_received'
      provider: string
      kind: SecurityEventName
      reason?: string
      marker?: string
      sessions: number
      connections: number
    }
  /** Somebody sent what is no security event token of that provider for us, or it could not be judged then. */
  | { type: 'security_event_refused'; provider: string; errorClass: SecurityEventProblem }
  /** All processes leave the provider alone until `nextAttemptAt`; then one of them asks. */
  | { type: 'circuit_opened'; provider: string; errorClass: string; nextAttemptAt: number }
  | { type: 'circuit_closed'; provider: string }
  | { type: 'scope_challenged'; operation: string; scopes: readonly string[] }
  /** A sign-in was too long ago for this operation (RFC 9470). */
  | { type: 'authentication_challenged'; operation: string }
  /** A new MCP session, one that its client ended, or an id shown by somebody it does not belong to. */
  | { type: 'session_opened' | 'session_ended' | 'session_refused'; userId?: string }
  /** A `requestState` that was changed, has ended, or belongs to another caller or call (MCP, multi round-trip). */
  | { type: 'request_state_refused'; operation: string; userId?: string }
  | { type: 'tool_called'; tool: string; userId?: string; ok: boolean; durationMs: number }
  /** `resource`: the URI or template as declared, never the URI that was read. */
  | { type: 'resource_read'; resource: string; userId?: string; ok: boolean; durationMs: number }
  | { type: 'prompt_used'; prompt: string; userId?: string; ok: boolean; durationMs: number }
  | { type: 'store_unavailable'; step: string }
  /** What this server waits for after a write has not come in time; once a minute. The write counts. */
  | { type: 'store_write_unconfirmed'; kind: 'replica' | 'disk' | 'replica-disk' }
  | { type: 'record_unreadable'; kind: string }
  /** A fault of ours: the kind of error and the place in the code, never its message. */
  | { type: 'request_failed'; step: string; errorName: string; where: string }
  /** A limit was reached; once for each window, however many requests follow. */
  | { type: 'limit_hit'; limit: LimitName; by: LimitedBy; clientIdHash?: string; userId?: string }
  | { type: 'suspicious_activity'; kind: SuspicionKind; grantId?: string; clientIdHash?: string }

/** Receives what happened, to tell it; must not throw and is not waited for. */
export type EventSink = (event: SallyportEvent) => void

/** What is known of every event besides itself. */
export interface EventStamp {
  /** When, in seconds since the epoch. */
  at: number
  /** Random, the same for all events of one HTTP request; absent outside of requests. */
  requestId?: string
  /** Keyed hash of where an OAuth request came from (an IPv4 address or an IPv6 /64); never the address. */
  sourceHash?: string
}

/** An event as sinks get it. */
export type RecordedEvent = SallyportEvent & EventStamp

/** Receives every event, stamped; what it throws harms nobody, and it is not waited for. */
export type RecordedEventSink = (event: RecordedEvent) => void

type FieldOf<E> = E extends unknown ? keyof E : never

/** Every field that some event has. */
export type EventField = FieldOf<SallyportEvent> | keyof EventStamp

/**
 * What a field holds.
 * - `hash`: a SHA-256 or HMAC in base64url;
 * - `name`, `names`: ids and words of ours, of the deployer or of the developer, in visible ASCII;
 * - `text`: a path pattern or a place in the code, in printable ASCII.
 */
export type EventFieldKind = 'hash' | 'name' | 'names' | 'text' | 'number' | 'boolean'

/**
 * What the fields of all events hold. A field that does not stand here does not compile, and is not passed on: so that
 * somebody decides about each that no secret can get into it (R188).
 */
export const eventFields: Readonly<Record<EventField, EventFieldKind>> = {
  type: 'name',
  at: 'number',
  requestId: 'name',
  sourceHash: 'hash',
  clientIdHash: 'hash',
  loginId: 'name',
  userId: 'name',
  reason: 'name',
  grantId: 'name',
  by: 'name',
  kid: 'name',
  jkt: 'hash',
  retiresAt: 'number',
  provider: 'name',
  account: 'name',
  generation: 'number',
  errorClass: 'name',
  condition: 'name',
  nextAttemptAt: 'number',
  daysLeft: 'number',
  endsAt: 'number',
  marker: 'name',
  sessions: 'number',
  connections: 'number',
  operation: 'name',
  scopes: 'names',
  tool: 'name',
  resource: 'name',
  prompt: 'name',
  ok: 'boolean',
  durationMs: 'number',
  step: 'text',
  kind: 'name',
  errorName: 'name',
  where: 'text',
  limit: 'name',
}
