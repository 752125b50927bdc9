import { OAuthError } from '../errors.ts'
import { sha256 } from '../protocol/hash.ts'
import { isCodeVerifier, matchesCodeChallenge } from '../protocol/pkce.ts'
import { operationId } from '../storage/operation-id.ts'
import { mintRefreshToken, parseAuthorizationCode } from '../tokens/token-value.ts'
import {
  assertGrantedResource,
  assertUserEnabled,
  idleEnd,
  idTokenFor,
  invalidGrant,
  issueAccessToken,
  refreshTokenJkt,
  scopesStillAllowed,
  tokenResponse,
} from './grant-rules.ts'
import type { GrantHandler } from './grant-type.ts'

/** Wrong verifiers after which a code is spent (R102): guessing must end, one bad try must not lock the owner out. */
const maxFailedRedemptions = 5

/**
 * Redeems an authorization code (OAuth 2.1 §4.1.3). Everything that can fail without using the code up comes
 * first (R91); the store's step is the last, and the only one that counts.
 *
 * @throws {OAuthError} `invalid_request`, `invalid_grant`, `invalid_target`
 */
export const authorizationCode: GrantHandler = async (
  context,
  client,
  parameters,
  consumeAuthentication,
  dpopJkt,
) => {
  const { store, clock, random, secrets, limits, emit } = context
  const value = parameters.get('code')
  const verifier = parameters.get('code_verifier')
  const redirectUri = parameters.get('redirect_uri')
  if (value === undefined) throw new OAuthError('invalid_request', 'The parameter code is missing.')
  // R99: asked for whatever the record says, so that nobody strips PKCE; what no verifier can look like is no guess.
  if (verifier === undefined || !isCodeVerifier(verifier)) {
    throw new OAuthError(
      'invalid_request',
      'The parameter code_verifier is missing or malformed (RFC 7636 4.1).',
    )
  }

  const now = clock()
  const code = parseAuthorizationCode(value)
  const grant = code && (await store.findGrant({ id: code.grantId, now }))
  // R98: another client's code looks like no code at all, and stays good for its owner.
  if (!code || !grant || grant.code.hash !== code.hash || grant.clientId !== client.clientId) {
    throw invalidGrant()
  }
  // R100: need not be sent with PKCE (OAuth 2.1 §10.2), but if it is, it is compared.
  if (redirectUri !== undefined && redirectUri !== grant.redirectUri) throw invalidGrant()
  // RFC 9449 §10: before the verifier, so that a code in the wrong hands is not even a try.
  if (grant.code.dpopJkt !== undefined && grant.code.dpopJkt !== dpopJkt) throw invalidGrant()
  assertGrantedResource(parameters.getAll('resource'), grant)
  const scopes = scopesStillAllowed(context, client, grant)
  if (!matchesCodeChallenge(verifier, grant.code.challenge)) {
    await store.countFailedRedemption({
      id: grant.id,
      codeHash: code.hash,
      limit: maxFailedRedemptions,
      operationId: operationId(random),
      now,
    })
    throw invalidGrant()
  }

  await assertUserEnabled(context, grant, now)
  await limits.countUser('user', grant.userId)
  const access = await issueAccessToken(context, client, grant, scopes, dpopJkt)
  const idToken = await idTokenFor(context, grant, scopes, grant.code.nonce)
  // R111: no refresh token for a client that could not use it.
  const refresh = client.grantTypes.includes('refresh_token')
    ? mintRefreshToken({
        secrets,
        random,
        grantId: grant.id,
        generation: 0,
        dpopJkt: refreshTokenJkt(client, dpopJkt),
      })
    : undefined
  await consumeAuthentication()
  const outcome = await store.redeemCode({
    id: grant.id,
    codeHash: code.hash,
    operationId: operationId(random),
    now,
    ...(refresh && { refresh: { hash: refresh.hash, idleEndsAt: idleEnd(context, client, grant, now) } }),
    accessEndsAt: access.expiresAt,
  })
  const who = { grantId: grant.id, userId: grant.userId, clientIdHash: sha256(grant.clientId) }
  switch (outcome) {
    case 'redeemed':
      emit({ type: 'token_issued', ...who })
      return tokenResponse(access, now, scopes, refresh?.value, idToken)
    // R96: right client, right verifier, second time: somebody else has this code. R97: nothing less gets here.
    case 'replayed':
      emit({ type: 'code_replayed', ...who })
      emit({ type: 'family_revoked', grantId: grant.id, by: 'code_replayed' })
      throw invalidGrant()
    case 'expired':
    case 'revoked':
    case 'unknown':
      throw invalidGrant()
  }
}
