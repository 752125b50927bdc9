import type { Client } from '../clients/client.ts'
import type { Context } from '../context.ts'
import { OAuthError } from '../errors.ts'
import { shortestLifetimes, type TokenLifetimes } from '../protocol/lifetimes.ts'
import { findResource } from '../protocol/resource-indicator.ts'
import { openidScope } from '../protocol/scope.ts'
import type { Grant } from '../storage/records.ts'
import type { IssuedAccessToken } from '../tokens/issue.ts'
import type { TokenResponse } from './grant-type.ts'

/** Rules that hold for every grant that rests on a stored token family; written once so that none drifts. */

/**
 * One answer for every way a code or refresh token can be no good: the caller learns nothing about whose it is
 * or was. Clients drop their tokens and sign in again.
 */
export const invalidGrant = (cause?: unknown): OAuthError =>
  new OAuthError('invalid_grant', 'The code or token is not valid any more, or not for this client.', {
    cause,
  })

/** The client may not use the grant at all. */
export const unauthorizedClient = (): OAuthError =>
  new OAuthError('unauthorized_client', 'The client is not registered for this grant_type.')

/**
 * What tokens of this family may carry today: what was granted, as far as server and client still know it (R109).
 *
 * @throws {OAuthError} `invalid_grant` when the server no longer has the family's resource
 */
export function scopesStillAllowed(
  { resources, scopes }: Pick<Context, 'resources' | 'scopes'>,
  client: Pick<Client, 'scopes'>,
  grant: Pick<Grant, 'resource' | 'scopes'>,
): string[] {
  if (findResource(resources, grant.resource) === undefined) throw invalidGrant()
  return grant.scopes.filter(
    scope => Object.hasOwn(scopes, scope) && (client.scopes?.includes(scope) ?? true),
  )
}

/**
 * A user who was disabled gets no more tokens (R109).
 *
 * @throws {OAuthError} `invalid_grant`
 */
export async function assertUserEnabled(
  { store }: Pick<Context, 'store'>,
  { userId }: Pick<Grant, 'userId'>,
  now: number,
): Promise<void> {
  if (await store.isUserDisabled({ userId, now })) throw invalidGrant()
}

/**
 * A resource may be named again, not changed: the audience is what the user granted, never what a caller
 * chooses now (R101, RFC 8707 §2.2).
 *
 * @throws {OAuthError} `invalid_target`
 */
export function assertGrantedResource(presented: readonly string[], grant: Pick<Grant, 'resource'>): void {
  if (presented.some(resource => findResource([grant.resource], resource) === undefined)) {
    throw new OAuthError('invalid_target', 'The resource is not the one that was granted.')
  }
}

/** How long what this client gets with these scopes may live. */
export function lifetimesOf(
  { lifetimes, scopeLifetimes }: Pick<Context, 'lifetimes' | 'scopeLifetimes'>,
  client: Pick<Client, 'lifetimes'>,
  scopes: readonly string[],
): TokenLifetimes {
  const ofScopes = scopes.map(scope =>
    Object.hasOwn(scopeLifetimes, scope) ? scopeLifetimes[scope] : undefined,
  )
  return shortestLifetimes(lifetimes, [client.lifetimes, ...ofScopes])
}

/** Issues an access token of a family, for as long as client and scopes allow. */
export function issueAccessToken(
  context: Pick<Context, 'tokens' | 'lifetimes' | 'scopeLifetimes'>,
  client: Pick<Client, 'lifetimes'>,
  grant: Grant,
  scopes: readonly string[],
  dpopJkt: string | undefined,
): Promise<IssuedAccessToken> {
  const { accessTokenSeconds } = lifetimesOf(context, client, scopes)
  return context.tokens.issueAccessToken({ grant, scopes, lifeSeconds: accessTokenSeconds, dpopJkt })
}

/**
 * Idle end of a refresh token made now: it slides, and never past the absolute end of the session (R110). It stands
 * for all that was granted, however little the access token beside it carries.
 */
export function idleEnd(
  context: Pick<Context, 'lifetimes' | 'scopeLifetimes'>,
  client: Pick<Client, 'lifetimes'>,
  grant: Pick<Grant, 'endsAt' | 'scopes'>,
  now: number,
): number {
  const idleEndsAt = now + lifetimesOf(context, client, grant.scopes).refreshTokenSeconds
  return grant.endsAt === 0 ? idleEndsAt : Math.min(idleEndsAt, grant.endsAt)
}

/**
 * The key that a refresh token is bound to: a public client's, which has nothing else to be told from a thief by. What
 * a confidential client gets is bound to its credentials, and it may change its key (RFC 9449 §5).
 */
export function refreshTokenJkt(
  { tokenEndpointAuthMethod }: Pick<Client, 'tokenEndpointAuthMethod'>,
  dpopJkt: string | undefined,
): string | undefined {
  return tokenEndpointAuthMethod === 'none' ? dpopJkt : undefined
}

/** The id_token that goes with an access token of these scopes; undefined when nobody asked for one. */
export async function idTokenFor(
  { idTokens }: Pick<Context, 'idTokens'>,
  grant: Grant,
  scopes: readonly string[],
  nonce?: string,
): Promise<string | undefined> {
  if (!scopes.includes(openidScope)) return undefined
  return idTokens.issueIdToken({ grant, ...(nonce !== undefined && { nonce }) })
}

/** Turns issued tokens into the answer on the wire (RFC 6749 §5.1); `scope` always says what was given (R93). */
export function tokenResponse(
  access: IssuedAccessToken,
  now: number,
  scopes: readonly string[],
  refreshToken: string | undefined,
  idToken: string | undefined,
): TokenResponse {
  return {
    access_token: access.value,
    token_type: access.tokenType,
    expires_in: access.expiresAt - now,
    ...(refreshToken !== undefined && { refresh_token: refreshToken }),
    ...(idToken !== undefined && { id_token: idToken }),
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
  }
}
