/** What a `WWW-Authenticate` challenge says. Values come from configuration and constants only (R150). */
export interface Challenge {
  /** The scheme that was used, and the first one when none was. Default `Bearer`. */
  scheme?: 'Bearer' | 'DPoP'
  /** Absent when the request carried no credentials (RFC 6750 §3.1). */
  error?:
    | 'invalid_request'
    | 'invalid_token'
    | 'insufficient_scope'
    | 'insufficient_user_authentication'
    | 'invalid_dpop_proof'
    | 'use_dpop_nonce'
  description?: string
  /** Where the protected resource metadata is (RFC 9728 §5.1). */
  metadataUrl: string
  /** Scopes this very operation needs. */
  scopes: readonly string[]
  /** How long ago the user may have authenticated, in seconds (RFC 9470 §3). */
  maxAgeSeconds?: number
  /** JWS algorithms of proofs. With Bearer they offer DPoP as another way in (RFC 9449 §7.2). Absent: no DPoP. */
  dpopAlgorithms?: readonly string[]
}

/** quoted-string of RFC 9110 §5.6.4. What could leave it or the header is dropped, wherever it came from. */
const quoted = (value: string) => `"${value.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')}"`

/** The value of the `WWW-Authenticate` header. */
export function bearerChallenge({
  scheme = 'Bearer',
  error,
  description,
  metadataUrl,
  scopes,
  maxAgeSeconds,
  dpopAlgorithms,
}: Challenge): string {
  const algorithms: [string, string | undefined] = ['algs', dpopAlgorithms?.join(' ')]
  const parameters: [string, string | undefined][] = [
    ['error', error],
    ['error_description', description],
    ['max_age', maxAgeSeconds === undefined ? undefined : `${maxAgeSeconds}`],
    ['resource_metadata', metadataUrl],
    ['scope', scopes.length > 0 ? scopes.join(' ') : undefined],
  ]
  const challenge = (name: string, said: typeof parameters) =>
    `${name} ${said.flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${quoted(value)}`])).join(', ')}`
  if (scheme === 'DPoP') return challenge('DPoP', [...parameters, algorithms])
  // Bearer first: many clients read one challenge only, and that is the one they know.
  const bearer = challenge('Bearer', parameters)
  return dpopAlgorithms ? `${bearer}, ${challenge('DPoP', [algorithms])}` : bearer
}
