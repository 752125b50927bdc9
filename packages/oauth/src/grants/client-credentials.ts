import type { Client } from '../clients/client.ts'
import type { Context } from '../context.ts'
import { OAuthError } from '../errors.ts'
import { sha256 } from '../protocol/hash.ts'
import type { Parameters } from '../protocol/parameters.ts'
import { findOneResource, findResource } from '../protocol/resource-indicator.ts'
import { openidScope, parseScope } from '../protocol/scope.ts'
import { clientSubject } from '../protocol/subject.ts'
import { operationId } from '../storage/operation-id.ts'
import { familyWithoutCode, putFamilyWithoutCode } from './family-without-code.ts'
import { issueAccessToken, tokenResponse, unauthorizedClient } from './grant-rules.ts'
import type { GrantHandler } from './grant-type.ts'

/**
 * A token for the client itself, without a user (OAuth 2.1 §4.2): for clients the deployer configured, with a secret
 * or a key (R113), and for what they were provisioned with (R114). No refresh token: the client can come again (R111).
 *
 * Each token is a family of its own, so that revocation and introspection treat it like any other. Its record ends
 * with the token.
 *
 * @throws {OAuthError} `unauthorized_client`, `invalid_target`, `invalid_scope`
 */
export const clientCredentials: GrantHandler = async (
  context,
  client,
  parameters,
  consumeAuthentication,
  dpopJkt,
) => {
  const { store, clients, clock, random, emit } = context
  // The configuration was checked for this; the second look holds if another way to a client comes up.
  if (client.kind !== 'configured' || client.tokenEndpointAuthMethod === 'none' || !client.scopes) {
    throw unauthorizedClient()
  }
  const resource = provisionedResource(context, client, parameters)
  const scopes = provisionedScopes(
    context,
    // No user signed in: there is nothing an id_token or userinfo could tell.
    client.scopes.filter(scope => scope !== openidScope),
    parameters,
  )

  const now = clock()
  const granted = { userId: clientSubject(client.clientId), resource, scopes, amr: [] }
  const family = familyWithoutCode(random, client, granted, now)
  const { id } = family
  const access = await issueAccessToken(context, client, family, scopes, dpopJkt)
  await consumeAuthentication()
  await putFamilyWithoutCode(context, family, access, now)
  // R21: who deletes a client marks it and then ends its families. One that was not there yet ends here.
  if (!(await clients.isKnown(client.clientId))) {
    await store.revokeGrant({ id, reason: 'administrator', operationId: operationId(random), now: clock() })
    throw unauthorizedClient()
  }
  emit({ type: 'token_issued', grantId: id, userId: family.userId, clientIdHash: sha256(client.clientId) })
  return tokenResponse(access, now, scopes, undefined, undefined)
}

/** @throws {OAuthError} `invalid_target` */
function provisionedResource(context: Context, client: Client, parameters: Parameters): string {
  const own = client.resources ?? context.resources.slice(0, 1)
  const allowed = own.flatMap(resource => findResource(context.resources, resource) ?? [])
  const presented = parameters.getAll('resource')
  const resource = presented.length === 0 ? allowed[0] : findOneResource(allowed, presented)
  if (resource === undefined) {
    throw new OAuthError('invalid_target', 'The resource is unknown, not for this client, or more than one.')
  }
  return resource
}

/**
 * All of the client's own scopes when it names none, otherwise what it names, all or nothing: a program that runs by
 * itself should hear at once that it lacks something.
 *
 * @throws {OAuthError} `invalid_scope`
 */
function provisionedScopes(context: Context, own: readonly string[], parameters: Parameters): string[] {
  const allowed = own.filter(scope => Object.hasOwn(context.scopes, scope))
  const value = parameters.get('scope')
  if (value === undefined) return allowed
  const requested = parseScope(value)
  if (!requested?.every(scope => allowed.includes(scope))) {
    throw new OAuthError('invalid_scope', 'The scope is malformed or goes beyond what the client may have.')
  }
  return requested
}
