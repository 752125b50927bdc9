import type { Client } from '../clients/client.ts'
import type { Context } from '../context.ts'
import { OAuthError } from '../errors.ts'
import { sha256 } from '../protocol/hash.ts'
import type { Parameters } from '../protocol/parameters.ts'
import { parseScope } from '../protocol/scope.ts'
import { operationId } from '../storage/operation-id.ts'
import type { Grant } from '../storage/records.ts'
import { mintRefreshToken, openReplay, parseRefreshToken, sealReplay } from '../tokens/token-value.ts'
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
import type { GrantHandler, TokenResponse } from './grant-type.ts'

/**
 * Rotates a refresh token (OAuth 2.1 §4.3). Everything that can fail without using the token up comes first
 * (R91); then one atomic step of the store claims the token and installs its successor (R104). Of many parallel
 * uses one wins, and the others get its very reply, opened with the token they all hold.
 *
 * @throws {OAuthError} `invalid_request`, `invalid_grant`, `invalid_target`, `invalid_scope`
 */
export const refreshToken: GrantHandler = async (
  context,
  client,
  parameters,
  consumeAuthentication,
  dpopJkt,
) => {
  const { store, clock, random, secrets, lifetimes, limits, emit } = context
  const value = parameters.get('refresh_token')
  if (value === undefined) throw new OAuthError('invalid_request', 'The parameter refresh_token is missing.')

  const now = clock()
  const token = parseRefreshToken(secrets, value)
  const grant = token && (await store.findGrant({ id: token.grantId, now }))
  // R107: another client's token looks like no token at all, and its owner's family lives on.
  if (!token || !grant?.refresh || grant.clientId !== client.clientId) throw invalidGrant()
  // R97: a guess that names a family learns nothing about it from the checks below.
  if (
    !token.genuine &&
    token.hash !== grant.refresh.currentHash &&
    token.hash !== grant.refresh.previousHash
  ) {
    throw invalidGrant()
  }
  // R159: without the key it is no token, and its owner's family lives on.
  if (token.dpopJkt !== undefined && token.dpopJkt !== dpopJkt) throw invalidGrant()
  assertGrantedResource(parameters.getAll('resource'), grant)
  const scopes = requestedScopes(context, client, grant, parameters)

  await assertUserEnabled(context, grant, now)
  await limits.countUser('user', grant.userId)
  const access = await issueAccessToken(context, client, grant, scopes, dpopJkt)
  // OpenID Connect Core §12.2: without the nonce, which belonged to the sign-in.
  const idToken = await idTokenFor(context, grant, scopes)
  const successor = mintRefreshToken({
    secrets,
    random,
    grantId: grant.id,
    generation: token.generation + 1,
    dpopJkt: refreshTokenJkt(client, dpopJkt),
  })
  const reply = tokenResponse(access, now, scopes, successor.value, idToken)
  await consumeAuthentication()
  const result = await store.rotateRefreshToken({
    id: grant.id,
    presentedHash: token.hash,
    genuine: token.genuine,
    successorHash: successor.hash,
    // The store holds the reply, and only who holds the presented token can open it (R112).
    replay: sealReplay(value, JSON.stringify(reply), dpopJkt),
    graceSeconds: lifetimes.refreshGraceSeconds,
    idleEndsAt: idleEnd(context, client, grant, now),
    accessEndsAt: access.expiresAt,
    operationId: operationId(random),
    now,
  })
  const who = { grantId: grant.id, userId: grant.userId, clientIdHash: sha256(grant.clientId) }
  switch (result.outcome) {
    case 'rotated':
      emit({ type: 'token_rotated', ...who })
      return reply
    // R105: the same successor, not a second one; nothing is extended.
    case 'grace': {
      const opened = openReplay(value, result.replay, dpopJkt)
      if (opened === undefined) throw invalidGrant()
      emit({ type: 'token_replayed_in_grace', ...who })
      return JSON.parse(opened) as TokenResponse
    }
    // R103: either the client or a thief holds a token that had its time; the step has ended the family.
    case 'reused':
      emit({ type: 'refresh_token_reused', ...who })
      emit({ type: 'family_revoked', grantId: grant.id, by: 'refresh_token_reused' })
      throw invalidGrant()
    case 'expired':
    case 'revoked':
    case 'unknown':
      throw invalidGrant()
  }
}

/**
 * What this access token will carry: everything granted, or less when the request says so. The grant keeps its
 * scopes, so that a later refresh may ask for all of them again (R108).
 */
function requestedScopes(context: Context, client: Client, grant: Grant, parameters: Parameters): string[] {
  const allowed = scopesStillAllowed(context, client, grant)
  const scope = parameters.get('scope')
  if (scope === undefined) return allowed
  const requested = parseScope(scope)
  if (!requested?.every(name => grant.scopes.includes(name))) {
    throw new OAuthError('invalid_scope', 'The scope is malformed or goes beyond what was granted.')
  }
  return requested.filter(name => allowed.includes(name))
}
