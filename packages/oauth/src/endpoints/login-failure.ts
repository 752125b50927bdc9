import type { OAuthErrorCode } from '../errors.ts'
import type { SallyportEvent } from '../events.ts'
import type { LoginError, LoginErrorReason } from '../login.ts'

type LoginErrorAnswer = { error: OAuthErrorCode; error_description: string }

/** What a client is told of a sign-in that failed; of the provider's own words, nothing (R77, RFC 6749 §4.1.2.1). */
export const loginErrorAnswer: Readonly<Record<LoginErrorReason, LoginErrorAnswer>> = {
  denied: { error: 'access_denied', error_description: 'The sign-in was declined; nothing was changed.' },
  disabled: {
    error: 'access_denied',
    error_description: 'This account is disabled; ask the operator of the server to enable it.',
  },
  failed: {
    error: 'server_error',
    error_description:
      'The sign-in gave an answer that the server cannot use; its operator finds the reason in its log.',
  },
  too_many_accounts: {
    error: 'server_error',
    error_description: 'As many accounts are connected as the server keeps for one person.',
  },
  unavailable: {
    error: 'temporarily_unavailable',
    error_description: 'The sign-in cannot be reached at the moment; try again in a few minutes.',
  },
}

/** The event of a login that failed: whoever runs the server learns what to mend, nobody else. */
export const loginFailed = (loginId: string, { reason, problem }: LoginError): SallyportEvent => ({
  type: 'sign_in_failed',
  loginId,
  reason,
  ...(problem && { errorClass: problem }),
})
