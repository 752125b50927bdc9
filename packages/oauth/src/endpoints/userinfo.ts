import { decodeJwt } from 'jose'
import type { Context, Endpoint } from '../context.ts'
import { OAuthError, type OAuthErrorCode } from '../errors.ts'
import { openidScope } from '../protocol/scope.ts'
import type { AccessToken } from '../tokens/access-token.ts'
import { endpointPaths } from './paths.ts'
import { json } from './respond.ts'
import { type TokenScheme, tokenChallenge, tokenRefusal } from './token-challenge.ts'

/**
 * b64token of RFC 6750 §2.1, token68 of RFC 9449 §7.1; the scheme in any case (R151). A second header arrives joined by
 * a comma, which is none.
 */
const credentials = /^(bearer|dpop) +([A-Za-z0-9\-._~+/]+=*)$/i

/** What the verifiers say against a token, and the proof beside it. */
const refusals: readonly OAuthErrorCode[] = ['invalid_token', 'invalid_dpop_proof', 'use_dpop_nonce']

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
      headers: { 'WWW-Authenticate': tokenChallenge(context, undefined), 'Cache-Control': 'no-store' },
    })
  }
  const [, name, value] = credentials.exec(header) ?? []
  const scheme = name?.toLowerCase() as TokenScheme
  const isOff = scheme === 'dpop' && !context.dpop
  const resource = value === undefined || isOff ? undefined : audienceOf(context, value)
  if (value === undefined || resource === undefined || !context.resources.includes(resource)) {
    throw tokenRefusal(context, scheme, {
      code: 'invalid_token',
      description: 'The access token is not valid.',
    })
  }
  let token: AccessToken
  try {
    const url = context.issuer + endpointPaths.userinfo
    token =
      scheme === 'dpop' && context.dpop
        ? await context.dpop.verifyAccessToken(request, value, { resource, url })
        : await context.accessTokens.verifyAccessToken(value, resource)
  } catch (error) {
    if (error instanceof OAuthError && refusals.includes(error.code))
      throw tokenRefusal(context, scheme, error)
    throw error
  }
  // R115: a client by itself is nobody to tell of, whatever its token carries.
  if (token.principal === 'client' || !token.scopes.includes(openidScope)) {
    throw tokenRefusal(context, scheme, {
      code: 'insufficient_scope',
      description: 'The access token was not granted openid.',
      scope: openidScope,
    })
  }
  return json({ sub: token.userId })
}

/** Where a token says that it belongs. Nothing is believed of it: the verifier checks it for this very resource. */
function audienceOf({ opaqueTokens }: Context, value: string): string | undefined {
  try {
    const { aud } = decodeJwt(opaqueTokens.open(value) ?? '')
    return typeof aud === 'string' ? aud : undefined
  } catch {
    return undefined
  }
}
