import type { OAuthErrorCode } from '../errors.ts'
import type { LoginError } from '../login.ts'

/** What a client is told of a sign-in that failed; of the provider's own words, nothing (R77, RFC 6749 §4.1.2.1). */
export const loginErrorCode: Readonly<Record<LoginError['reason'], OAuthErrorCode>> = {
  denied: 'access_denied',
  disabled: 'access_denied',
  failed: 'server_error',
  too_many_accounts: 'server_error',
  unavailable: 'temporarily_unavailable',
}
