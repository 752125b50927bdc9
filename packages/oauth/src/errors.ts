/** Error codes that may appear on the wire, grouped by the document that defines them. */
export type OAuthErrorCode =
  // RFC 6749 §4.1.2.1 and §5.2
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'unsupported_response_type'
  | 'invalid_scope'
  | 'access_denied'
  | 'server_error'
  | 'temporarily_unavailable'
  // RFC 6750 §3.1
  | 'invalid_token'
  | 'insufficient_scope'
  // RFC 7591 §3.2.2
  | 'invalid_redirect_uri'
  | 'invalid_client_metadata'
  // RFC 8707 §2
  | 'invalid_target'
  // RFC 9101 §7
  | 'invalid_request_uri'
  // RFC 9449 §12.2
  | 'invalid_dpop_proof'
  | 'use_dpop_nonce'
  // OpenID Connect Core §3.1.2.6
  | 'login_required'
  | 'consent_required'
  | 'interaction_required'
  | 'request_not_supported'
  | 'request_uri_not_supported'
  // OpenID Connect Core Error Code unmet_authentication_requirements 1.0; RFC 9470 §5
  | 'unmet_authentication_requirements'

const statusOf: Partial<Record<OAuthErrorCode, number>> = {
  invalid_client: 401,
  invalid_token: 401,
  insufficient_scope: 403,
  access_denied: 403,
  server_error: 500,
  temporarily_unavailable: 503,
}

/**
 * A refusal defined by an OAuth document. The description goes to the client and is a constant text without
 * input, quotes or backslashes (RFC 6749 §5.2); the reason travels in `cause` and never leaves the process.
 */
export class OAuthError extends Error {
  override readonly name = 'OAuthError'
  readonly code: OAuthErrorCode
  readonly description: string
  /** HTTP status of a direct answer: 400 unless the code has its own. */
  readonly status: number
  /** Further response headers, such as `Retry-After` (seconds) or `WWW-Authenticate`. */
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: OAuthErrorCode,
    description: string,
    options: { status?: number; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(`${code}: ${description}`, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.description = description
    this.status = options.status ?? statusOf[code] ?? 400
    this.headers = options.headers ?? {}
  }
}

/** Configuration that cannot work. The message is one sentence that names the variable or option and the fix. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
}

/**
 * The store could not answer: the outcome of the step is unknown, nothing may be concluded from it.
 * Endpoints answer 503 `temporarily_unavailable` with `Retry-After`, never `server_error` or `invalid_grant`.
 */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError'
}
