import { decodeJwt } from 'jose'
import type { Endpoint } from '../context.ts'
import { OAuthError } from '../errors.ts'
import { openidScope } from '../protocol/scope.ts'
import type { AccessToken } from '../tokens/access-token.ts'
import { json } from './respond.ts'

/** b64token of RFC 6750 §2.1; the scheme in any case (R151). A second header arrives joined by a comma, which is none. */
const bearer = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i

/**
 * The userinfo endpoint (OpenID Connect Core §5.3): whose access token this is. It takes the token of any resource of
 * this server, which are the only ones it issues, when `openid` was granted; in the Authorization header only. There is
 * no more to tell than `sub`.
 */
export const userinfo: Endpoint = async (context, request) => {
  const header = request.headers.get('authorization')?.trim()
  if (header === undefined || header === '') {
    // RFC 6750 §3.1: no error code for a request without credentials.
    return new Response(null, {
      status: 401,
      headers: { 'WWW-Authenticate': 'Bearer', 'Cache-Control': 'no-store' },
    })
  }
  const value = bearer.exec(header)?.[1]
  const resource = value === undefined ? undefined : audienceOf(value)
  if (value === undefined || resource === undefined || !context.resources.includes(resource)) {
    throw refusal('invalid_token', 'The access token is not valid.')
  }
  let token: AccessToken
  try {
    token = await context.accessTokens.verifyAccessToken(value, resource)
  } catch (error) {
    if (error instanceof OAuthError && error.code === 'invalid_token') {
      throw refusal('invalid_token', error.description)
    }
    throw error
  }
  // R115: a client by itself is nobody to tell of, whatever its token carries.
  if (token.principal === 'client' || !token.scopes.includes(openidScope)) {
    throw refusal('insufficient_scope', 'The access token was not granted openid.', openidScope)
  }
  return json({ sub: token.userId })
}

/** Where a token says that it belongs. Nothing is believed of it: the verifier checks it for this very resource. */
function audienceOf(value: string): string | undefined {
  try {
    const { aud } = decodeJwt(value)
    return typeof aud === 'string' ? aud : undefined
  } catch {
    return undefined
  }
}

function refusal(
  code: 'invalid_token' | 'insufficient_scope',
  description: string,
  scope?: string,
): OAuthError {
  const challenge = `Bearer error="${code}", error_description="${description}"`
  return new OAuthError(code, description, {
    headers: { 'WWW-Authenticate': scope === undefined ? challenge : `${challenge}, scope="${scope}"` },
  })
}
