/**
 * What a refusal of an upstream server means for us:
 * - `dead`: the grant is gone, for good
 * - `consent`: the user must act at the provider
 * - `misconfigured`: our client id, secret or request is wrong; only the deployer can mend it
 * - `rate_limited`, `transient`: later will do
 * - `unknown`: none of these; treated as transient, so that a surprise never ends a connection
 */
export type ErrorClass = 'dead' | 'consent' | 'misconfigured' | 'rate_limited' | 'transient' | 'unknown'

/** An upstream server that did not do its part. Its own words are not kept: only the class travels (R77, R187). */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError'
  readonly errorClass: ErrorClass
  /** Seconds, when the server said so. */
  readonly retryAfterSeconds: number | undefined
  readonly #code: string | undefined
  constructor(
    errorClass: ErrorClass,
    options: { retryAfterSeconds?: number | undefined; code?: string | undefined } = {},
  ) {
    super(`upstream refused: ${errorClass}`)
    this.errorClass = errorClass
    this.retryAfterSeconds = options.retryAfterSeconds
    this.#code = options.code
  }
  /** The error code (RFC 6749 §5.2) for whoever debugs; a private field, so that nothing prints it by itself. */
  get code(): string | undefined {
    return this.#code
  }
}
