import type { Client } from '../clients/client.ts'
import type { Context } from '../context.ts'
import { OAuthError } from '../errors.ts'
import type { AssertionProblem } from '../events.ts'
import { sha256 } from '../protocol/hash.ts'
import type { Parameters } from '../protocol/parameters.ts'
import { findOneResource, findResource } from '../protocol/resource-indicator.ts'
import { openidScope, parseScope } from '../protocol/scope.ts'
import { findUser } from '../storage/find-user.ts'
import { operationId } from '../storage/operation-id.ts'
import { familyWithoutCode, putFamilyWithoutCode } from './family-without-code.ts'
import { issueAccessToken, tokenResponse, unauthorizedClient } from './grant-rules.ts'
import type { GrantHandler } from './grant-type.ts'
import type { IdentityAssertion } from './identity-assertion.ts'

/**
 * A token for a user whom an enterprise's identity provider vouches for (RFC 7523 §2.1, with the assertions of
 * draft-ietf-oauth-identity-assertion-authz-grant §4.4). Nobody is asked: the enterprise has decided. No refresh token:
 * the client brings the next assertion, and the identity provider decides anew (R111, R127).
 *
 * An assertion works once. Everything that can fail without using it up comes first.
 *
 * @throws {OAuthError} `unauthorized_client`, `invalid_request`, `invalid_grant`, `invalid_target`, `invalid_scope`,
 *   `temporarily_unavailable` when the keys of the issuer cannot be read
 */
export const jwtBearer: GrantHandler = async (
  context,
  client,
  parameters,
  consumeAuthentication,
  dpopJkt,
) => {
  const { store, clients, identityAssertions, clock, random, limits, emit } = context
  // R127: whoever knows a public client's id could be it. Of a client with two methods, the one it used counts.
  if (!identityAssertions || client.tokenEndpointAuthMethod === 'none') throw unauthorizedClient()
  const value = parameters.get('assertion')
  if (value === undefined) throw new OAuthError('invalid_request', 'The parameter assertion is missing.')

  const clientIdHash = sha256(client.clientId)
  /** Tells the operator what was wrong, and the client only that something was. */
  const refusal = (issuer: string | undefined, problem: AssertionProblem | 'disabled') => {
    const why =
      problem === 'disabled'
        ? ({ reason: 'disabled' } as const)
        : ({ reason: 'failed', errorClass: problem } as const)
    emit({ type: 'sign_in_failed', loginId: issuer ?? 'id-jag', clientIdHash, ...why })
    return invalidAssertion()
  }

  const verified = await identityAssertions.verify(value, client.clientId, dpopJkt)
  if (verified.outcome === 'refused') throw refusal(verified.issuer, verified.problem)
  if (verified.outcome === 'unavailable') {
    emit({ type: 'sign_in_failed', loginId: verified.issuer, clientIdHash, reason: 'unavailable' })
    throw verified.error
  }
  const { assertion } = verified
  const { issuer } = assertion.issuer
  const resources = assertion.resources.flatMap(name => findResource(context.resources, name) ?? [])
  if (resources.length === 0) throw refusal(issuer, 'resource')
  const resource = oneResource(resources, parameters)
  const scopes = allowedScopes(context, client, assertion, parameters)

  const now = clock()
  const { subject, tenant, authTime, amr, acr } = assertion
  const identity = tenant === undefined ? ([issuer, subject] as const) : ([issuer, tenant, subject] as const)
  const userId = await findUser(context, identity, now)
  // R109: an identity provider that has not heard of it does not bring a disabled user back.
  if (await store.isUserDisabled({ userId, now })) throw refusal(issuer, 'disabled')
  await limits.countUser('user', userId)

  const family = familyWithoutCode(
    random,
    client,
    {
      userId,
      resource,
      scopes,
      ...(authTime !== undefined && { authTime }),
      amr: [...amr],
      ...(acr !== undefined && { acr }),
    },
    now,
  )
  const access = await issueAccessToken(context, client, family, scopes, dpopJkt)
  await consumeAuthentication()
  if (!(await assertion.claim())) throw refusal(issuer, 'replayed')
  await putFamilyWithoutCode(context, family, access, now)
  // R21, R109: who deletes a client or disables a user marks them and then ends their families. One that was not there
  // yet ends here.
  const isEnded =
    !(await clients.isKnown(client.clientId)) || (await store.isUserDisabled({ userId, now: clock() }))
  if (isEnded) {
    await store.revokeGrant({
      id: family.id,
      reason: 'administrator',
      operationId: operationId(random),
      now: clock(),
    })
    throw refusal(issuer, 'disabled')
  }
  emit({ type: 'sign_in_succeeded', loginId: issuer, userId })
  emit({ type: 'token_issued', grantId: family.id, userId, clientIdHash })
  return tokenResponse(access, now, scopes, undefined, undefined)
}

/** One answer for every way an assertion can be no good: it says nothing about which issuers are trusted (R10). */
const invalidAssertion = () =>
  new OAuthError('invalid_grant', 'The assertion is not valid any more, or not for this client.')

/**
 * The one resource of the assertion that is ours and that the client wants (R125).
 *
 * @throws {OAuthError} `invalid_target`
 */
function oneResource(granted: readonly string[], parameters: Parameters): string {
  const presented = parameters.getAll('resource')
  const resource = findOneResource(granted, presented.length === 0 ? granted : presented)
  if (resource === undefined) {
    throw new OAuthError('invalid_target', 'The resource is not in the assertion, or is more than one.')
  }
  return resource
}

/**
 * What the assertion gives, the client asks for and server, client and issuer allow (R125). An assertion that does not
 * say gives the default scopes, a request that does not say asks for all.
 *
 * @throws {OAuthError} `invalid_scope` when that is nothing
 */
function allowedScopes(
  { scopes, defaultScopes, sensitiveScopes }: Context,
  client: Client,
  { issuer, scope: given }: IdentityAssertion,
  parameters: Parameters,
): string[] {
  const requested = parameters.get('scope')
  const wanted = requested === undefined ? undefined : parseScope(requested)
  const allowed = (given === undefined ? [...defaultScopes] : (parseScope(given) ?? [])).filter(
    scope =>
      Object.hasOwn(scopes, scope) &&
      // The client knows its user from the identity provider: there is nothing an id_token of ours could add.
      scope !== openidScope &&
      (client.kind === 'configured' || !sensitiveScopes.includes(scope)) &&
      (client.scopes?.includes(scope) ?? true) &&
      (issuer.scopes?.includes(scope) ?? true) &&
      (wanted?.includes(scope) ?? true),
  )
  if (allowed.length === 0 || (requested !== undefined && wanted === undefined)) {
    throw new OAuthError('invalid_scope', 'The scope is malformed, or none of it may be given.')
  }
  return allowed
}
