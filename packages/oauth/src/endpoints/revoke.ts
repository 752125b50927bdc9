import { compactVerify, decodeProtectedHeader } from 'jose'
import { z } from 'zod'
import { authenticateClient } from '../clients/authenticate-client.ts'
import type { Context, Endpoint } from '../context.ts'
import { OAuthError } from '../errors.ts'
import { readForm, single } from '../protocol/parameters.ts'
import { operationId } from '../storage/operation-id.ts'
import { parseRefreshToken } from '../tokens/token-value.ts'

/**
 * Token revocation (RFC 7009). A refresh token and an access token both end the whole family: a client that
 * revokes either one is done with the session, and a session that goes on in a token the user was told is
 * revoked would be a surprise; RFC 7009 §2.1 leaves the choice (R139). Signatures tell the kinds of token
 * apart, so `token_type_hint` is not needed and never believed (R138).
 *
 * Always 200, whether there was something to revoke or not (R137, R138); a store that cannot answer is 503,
 * never 200 without effect (R140).
 */
export const revoke: Endpoint = async (context, request) => {
  const parameters = single(await readForm(request))
  const { client, consume } = await authenticateClient(context, request, parameters)
  const value = parameters.get('token')
  if (value === undefined) throw new OAuthError('invalid_request', 'The parameter token is missing.')

  const now = context.clock()
  const id = (await familyOfRefreshToken(context, value, now)) ?? (await familyOfAccessToken(context, value))
  const grant = id === undefined ? undefined : await context.store.findGrant({ id, now })
  await consume()
  // R137: another client's token is as good as unknown.
  if (grant?.clientId === client.clientId) {
    const outcome = await context.store.revokeGrant({
      id: grant.id,
      reason: 'client',
      operationId: operationId(context.random),
      now,
    })
    if (outcome === 'revoked') context.emit({ type: 'family_revoked', grantId: grant.id, by: 'client' })
  }
  return new Response(null, { status: 200, headers: { 'Cache-Control': 'no-store' } })
}

/** Family of a refresh token of ours, also of one that has been rotated away (R141). */
async function familyOfRefreshToken(
  context: Context,
  value: string,
  now: number,
): Promise<string | undefined> {
  const token = parseRefreshToken(context.secrets, value)
  if (!token) return undefined
  if (token.genuine) return token.grantId
  // Made under a secret that has left the ring: still known while it is the current one or the one before.
  const grant = await context.store.findGrant({ id: token.grantId, now })
  const known = [grant?.refresh?.currentHash, grant?.refresh?.previousHash].includes(token.hash)
  return known ? token.grantId : undefined
}

const claimsSchema = z.object({ iss: z.string(), sid: z.string().min(1) })

/** Family of an access token that we signed, expired or not. */
async function familyOfAccessToken(
  { issuer, signingKeys, opaqueTokens }: Context,
  value: string,
): Promise<string | undefined> {
  const jwt = opaqueTokens.open(value)
  if (jwt === undefined) return undefined
  let header: ReturnType<typeof decodeProtectedHeader>
  try {
    header = decodeProtectedHeader(jwt)
  } catch {
    return undefined
  }
  if (header.kid === undefined || header.typ !== 'at+jwt') return undefined
  // Outside any try: trouble with the store must not read as "unknown token" (R140).
  const key = await signingKeys.find(header.kid)
  if (!key) return undefined
  let payload: Uint8Array
  try {
    payload = (await compactVerify(jwt, key.publicKey, { algorithms: [key.alg] })).payload
  } catch {
    return undefined
  }
  // Signed by us, so it is JSON; another issuer on the same store and tenant would still not be ours.
  const claims = claimsSchema.safeParse(JSON.parse(new TextDecoder().decode(payload)))
  return claims.success && claims.data.iss === issuer ? claims.data.sid : undefined
}
