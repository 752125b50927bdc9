import type { LoginProblem } from '@sallyport/oauth'
import { IdTokenError } from './id-token.ts'
import { UpstreamError } from './upstream-error.ts'

/** What `error` of a callback means for whoever runs the server; only its class goes on (R77). */
export function callbackProblem(error: string): LoginProblem {
  switch (error) {
    case 'temporarily_unavailable':
    case 'server_error':
      return 'unreachable'
    case 'invalid_client':
    case 'unauthorized_client':
    // GitHub.
    case 'application_suspended':
      return 'client_refused'
    case 'redirect_uri_mismatch':
      return 'redirect_uri_refused'
    default:
      return 'request_refused'
  }
}

/** What an error on the way from code to account means for whoever runs the server; undefined when it is our own. */
export function problemOf(error: unknown): LoginProblem | undefined {
  if (error instanceof IdTokenError) return error.isOfAnotherTime ? 'clock' : 'id_token_refused'
  if (!(error instanceof UpstreamError)) return undefined
  switch (error.errorClass) {
    case 'transient':
    case 'rate_limited':
      return 'unreachable'
    case 'misconfigured':
      return misconfigured(error.code)
    case 'dead':
      return 'code_refused'
    case 'consent':
      return 'request_refused'
    case 'unknown':
      // GitHub's word for a code that is wrong or too old.
      return error.code === 'bad_verification_code' ? 'code_refused' : 'answer_unusable'
  }
}

function misconfigured(code: string | undefined): LoginProblem {
  if (code === 'redirect_uri_mismatch') return 'redirect_uri_refused'
  // RFC 9449 §5: of a proof that was made just now, its time.
  if (code === 'invalid_dpop_proof') return 'clock'
  return code === 'invalid_scope' || code === 'unsupported_grant_type' ? 'request_refused' : 'client_refused'
}
