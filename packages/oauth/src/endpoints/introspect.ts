import { invalidClient, presentedCredentials } from '../clients/presented-credentials.ts'
import type { ResourceServer } from '../clients/resource-servers.ts'
import type { Context, Endpoint } from '../context.ts'
import { OAuthError } from '../errors.ts'
import { sha256 } from '../protocol/hash.ts'
import { type Parameters, readForm, single } from '../protocol/parameters.ts'
import { type AccessTokenClaims, readAccessToken } from '../tokens/read-access-token.ts'
import { json } from './respond.ts'

/** How a resource server may show who it is. */
export const introspectionAuthenticationMethods = ['client_secret_basic', 'client_secret_post'] as const

/**
 * Token introspection (RFC 7662): what an access token is worth, for the resource server it is for. Whatever is
 * inactive gets the same bytes (R144), and so does a refresh token, which is not a resource server's business (R147).
 *
 * Everything is looked up now, in the store and not in the local set of revocations: the answer is for another
 * process, which may keep it for a while itself (R145).
 */
export const introspect: Endpoint = async (context, request) => {
  const parameters = single(await readForm(request))
  const server = authenticate(context, request, parameters)
  const value = parameters.get('token')
  if (value === undefined) throw new OAuthError('invalid_request', 'The parameter token is missing.')
  const claims = await activeClaims(context, server, value)
  if (!claims) return json({ active: false })
  const { iss, sub, aud, client_id, scope, iat, nbf, exp, jti, sid, auth_time, cnf } = claims
  return json({
    active: true,
    // RFC 9449 §6.2: whoever introspects checks the proof.
    token_type: cnf ? 'DPoP' : 'Bearer',
    iss,
    sub,
    aud,
    client_id,
    ...(scope !== '' && { scope }),
    iat,
    nbf,
    exp,
    jti,
    sid,
    auth_time,
    cnf,
  })
}

/**
 * R143: resource servers have credentials of their own. A client's are none here, and neither is an access token.
 *
 * @throws {OAuthError} `invalid_client`, `invalid_request` when there is more than one way of authentication
 */
function authenticate(
  { resourceServers, emit }: Context,
  request: Request,
  parameters: Parameters,
): ResourceServer {
  const authorization = request.headers.get('authorization')
  const presented = presentedCredentials(authorization, parameters)
  if (!presented || !('clientSecret' in presented) || presented.clientId === undefined) {
    throw invalidClient(authorization !== null)
  }
  const server = resourceServers?.(presented.clientId, presented.clientSecret ?? '')
  if (!server) {
    emit({ type: 'client_authentication_failed', clientIdHash: sha256(presented.clientId) })
    throw invalidClient(authorization !== null)
  }
  return server
}

/** Claims of a token that is good now at one of the server's resources; undefined for whatever is not. */
async function activeClaims(
  context: Context,
  { resources }: ResourceServer,
  value: string,
): Promise<AccessTokenClaims | undefined> {
  let claims: AccessTokenClaims
  try {
    claims = (await readAccessToken(context, value, resources)).claims
  } catch (error) {
    if (error instanceof OAuthError && error.code === 'invalid_token') return undefined
    throw error
  }
  const now = context.clock()
  const grant = await context.store.findGrant({ id: claims.sid, now })
  const isLive = grant && grant.revokedAt === undefined && (grant.endsAt === 0 || grant.endsAt > now)
  if (!isLive || grant.clientId !== claims.client_id || grant.userId !== claims.sub) return undefined
  if (await context.store.isUserDisabled({ userId: grant.userId, now })) return undefined
  return (await context.clients.isKnown(claims.client_id)) ? claims : undefined
}
