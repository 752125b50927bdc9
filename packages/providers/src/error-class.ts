import type { TokenRefusal } from './token-request.ts'
import type { ErrorClass } from './upstream-error.ts'

/** The error codes of RFC 6749 §5.2 and OpenID Connect Core §3.1.2.6; a provider adds its own before. */
export function standardErrorClass({ status, error }: TokenRefusal): ErrorClass {
  switch (error) {
    case 'invalid_grant':
      return 'dead'
    case 'interaction_required':
    case 'consent_required':
    case 'login_required':
    case 'account_selection_required':
      return 'consent'
    case 'invalid_client':
    case 'unauthorized_client':
    case 'unsupported_grant_type':
    case 'invalid_scope':
      return 'misconfigured'
    // RFC 9449 §5: a proof that is wrong, as by our clock.
    case 'invalid_dpop_proof':
      return 'misconfigured'
    case 'use_dpop_nonce':
    case 'temporarily_unavailable':
    case 'server_error':
      return 'transient'
    case 'rate_limited':
    case 'rate_limit_exceeded':
      return 'rate_limited'
    default:
      return status === 401 ? 'misconfigured' : 'unknown'
  }
}

/** Classes of a provider's own error codes; codes it shares with everybody are not repeated. */
export type ErrorMap = Readonly<Record<string, ErrorClass>>

/** A provider's own codes first, then the standard ones. */
export const errorClassBy =
  (codes: ErrorMap) =>
  (refusal: TokenRefusal): ErrorClass =>
    (refusal.error !== undefined && Object.hasOwn(codes, refusal.error) ? codes[refusal.error] : undefined) ??
    standardErrorClass(refusal)
