/** What a `WWW-Authenticate` challenge says. Values come from configuration and constants only (R150). */
export interface Challenge {
  /** Absent when the request carried no credentials (RFC 6750 §3.1). */
  error?: 'invalid_request' | 'invalid_token' | 'insufficient_scope' | 'insufficient_user_authentication'
  description?: string
  /** Where the protected resource metadata is (RFC 9728 §5.1). */
  metadataUrl: string
  /** Scopes this very operation needs. */
  scopes: readonly string[]
  /** How long ago the user may have authenticated, in seconds (RFC 9470 §3). */
  maxAgeSeconds?: number
}

/** quoted-string of RFC 9110 §5.6.4. What could leave it or the header is dropped, wherever it came from. */
const quoted = (value: string) => `"${value.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')}"`

/** The value of the `WWW-Authenticate` header. */
export function bearerChallenge({
  error,
  description,
  metadataUrl,
  scopes,
  maxAgeSeconds,
}: Challenge): string {
  const parameters: [string, string | undefined][] = [
    ['error', error],
    ['error_description', description],
    ['max_age', maxAgeSeconds === undefined ? undefined : `${maxAgeSeconds}`],
    ['resource_metadata', metadataUrl],
    ['scope', scopes.length > 0 ? scopes.join(' ') : undefined],
  ]
  return `Bearer ${parameters.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${quoted(value)}`])).join(', ')}`
}
