import { OAuthError } from '../errors.ts'
import { invalidToken } from '../tokens/read-access-token.ts'
import { fetchJson, type IssuerFetch } from './fetch-json.ts'
import type { IssuerClaims } from './issuer-claims.ts'

/** With what a resource server introduces itself at the issuer (RFC 6749 §2.3.1, Basic). */
export interface IntrospectionCredentials {
  clientId: string
  clientSecret: string
}

/**
 * Asks the issuer what a token is worth.
 *
 * @throws {OAuthError} `invalid_token` when it is not active, or not for this audience; `temporarily_unavailable` when
 *   the issuer does not answer, or refuses our credentials
 * @see RFC 7662 §2
 */
export async function introspectToken(
  context: {
    issuer: string
    audience: string
    endpoint: string
    credentials: IntrospectionCredentials
    fetch: IssuerFetch
  },
  value: string,
): Promise<IssuerClaims> {
  const { issuer, audience, endpoint, credentials, fetch } = context
  const unavailable = (cause: unknown) =>
    new OAuthError('temporarily_unavailable', 'The issuer of tokens cannot be asked now.', {
      headers: { 'Retry-After': '5' },
      cause,
    })
  const answer = await fetchJson(fetch, endpoint, {
    method: 'POST',
    headers: {
      accept: 'application/json',
      authorization: `Basic ${basic(credentials)}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({ token: value, token_type_hint: 'access_token' }).toString(),
  }).catch(() => undefined)
  if (answer?.status !== 200 || !answer.object) throw unavailable(`status ${answer?.status ?? 'none'}`)
  const { active, iss, aud, token_type: tokenType } = answer.object
  if (active !== true) throw invalidToken('not valid', 'not active')
  if (iss !== undefined && iss !== issuer) throw invalidToken('not valid', 'other issuer')
  // R153: an issuer that does not say for whom a token is cannot be believed that it is for us.
  if (!(Array.isArray(aud) ? aud : [aud]).includes(audience))
    throw invalidToken('not valid', 'other audience')
  if (typeof tokenType === 'string' && tokenType.toLowerCase() !== 'bearer') {
    throw invalidToken('not valid', 'not a bearer token')
  }
  return answer.object
}

/** RFC 6749 §2.3.1: both parts form-encoded first. */
function basic({ clientId, clientSecret }: IntrospectionCredentials): string {
  const encode = (part: string) => new URLSearchParams({ '': part }).toString().slice(1)
  return Buffer.from(`${encode(clientId)}:${encode(clientSecret)}`).toString('base64')
}
