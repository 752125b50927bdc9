import { OAuthError } from '../errors.ts'
import type { Login, LoginPrompt } from '../login.ts'
import { isThumbprint } from './dpop-proof.ts'
import type { Parameters } from './parameters.ts'
import { isS256CodeChallenge } from './pkce.ts'
import { matchesRedirectUri } from './redirect-uri.ts'
import { findOneResource } from './resource-indicator.ts'
import { openidScope, parseScope } from './scope.ts'

/** What a client asks for at the authorization endpoint, once everything about it has been checked. */
export interface AuthorizationRequest {
  /** The client's own value, byte for byte; undefined when it sent none (R46). */
  state: string | undefined
  /** S256 challenge (RFC 7636 §4.2). */
  codeChallenge: string
  /** One of the server's resources, as the server writes it. */
  resource: string
  /** What the user will be asked to grant: known to the server, allowed to the client. */
  scopes: string[]
  /** For the id_token, when there will be one. */
  nonce: string | undefined
  /** How long ago the user may have authenticated, in seconds; 0 for `prompt=login`. */
  maxAgeSeconds: number | undefined
  /** How the sign-in shall ask, as far as it can. */
  prompts: LoginPrompt[]
  acrValues: string | undefined
  /** Thumbprint of the key that must be proven to redeem the code. */
  dpopJkt: string | undefined
}

/** What of a client these rules look at. */
export interface RequestingClient {
  /** `configured` by the deployer, or known by its own word only. */
  kind: 'configured' | 'registered' | 'metadata-document'
  redirectUris: readonly string[]
  grantTypes: readonly string[]
  /** Undefined when only the server's own list limits it. */
  scopes: readonly string[] | undefined
}

/** What of a server these rules look at. */
export interface RequestRules {
  /** The first is meant when a request names none. */
  resources: readonly string[]
  scopes: Readonly<Record<string, string>>
  defaultScopes: readonly string[]
  /** Scopes for clients the deployer has configured only. */
  sensitiveScopes: readonly string[]
  /** How users sign in. */
  signIn: Pick<Login, 'prompts'>
  /** Undefined where proof of possession is off. */
  dpop?: object | undefined
}

/** Longest `nonce` and `acr_values` that are carried, in UTF-16 code units. */
const maxNonceLength = 512
const maxAcrValuesLength = 1024

/** Longest `state` that is carried, in UTF-16 code units: it has to fit into addresses again. */
const maxStateLength = 4096

/**
 * Where the answer may go: what was asked for, if it is registered; the only registered one when nothing was asked
 * for. Undefined when neither, and then nothing may be sent anywhere (R40, R42).
 *
 * @see OAuth 2.1 §2.3.2, §4.1.2.1
 */
export function provenRedirectUri(
  { redirectUris }: Pick<RequestingClient, 'redirectUris'>,
  presented: string | undefined,
): string | undefined {
  if (presented === undefined) return redirectUris.length === 1 ? redirectUris[0] : undefined
  return matchesRedirectUri(redirectUris, presented) ? presented : undefined
}

/**
 * Checks everything about an authorization request that comes after client and redirect URI, in this order.
 *
 * @throws {OAuthError} `unauthorized_client`, `request_not_supported`, `request_uri_not_supported`,
 *   `unsupported_response_type`, `invalid_request`, `invalid_target`, `invalid_scope`, `login_required`,
 *   `unmet_authentication_requirements`
 * @see OAuth 2.1 §4.1.1
 */
export function checkAuthorizationRequest(
  parameters: Parameters,
  client: RequestingClient,
  rules: RequestRules,
): AuthorizationRequest {
  assertMayAskForCodes(client)
  assertNoRequestObject(parameters)
  assertResponseType(parameters)
  assertResponseMode(parameters)
  const codeChallenge = checkedCodeChallenge(parameters)
  const resource = checkedResource(parameters, rules)
  const scopes = checkedScopes(parameters, client, rules)
  const state = checkedState(parameters)
  const prompts = checkedPrompts(parameters, rules)
  const nonce = checkedText(parameters, 'nonce', maxNonceLength)
  return {
    state,
    codeChallenge,
    resource,
    scopes,
    nonce: scopes.includes(openidScope) ? nonce : undefined,
    maxAgeSeconds: checkedMaxAge(parameters, rules) ?? (prompts.includes('login') ? 0 : undefined),
    prompts,
    acrValues: checkedText(parameters, 'acr_values', maxAcrValuesLength),
    dpopJkt: checkedDpopJkt(parameters, rules),
  }
}

function assertMayAskForCodes({ grantTypes }: RequestingClient): void {
  if (!grantTypes.includes('authorization_code')) {
    throw new OAuthError('unauthorized_client', 'The client is not registered for authorization codes.')
  }
}

/** R61: nothing is ever fetched because a request says so (RFC 9101 §5, OpenID Connect Core §6). */
function assertNoRequestObject(parameters: Parameters): void {
  if (parameters.get('request') !== undefined) {
    throw new OAuthError('request_not_supported', 'The parameter request is not supported.')
  }
  if (parameters.get('request_uri') !== undefined) {
    throw new OAuthError('request_uri_not_supported', 'The parameter request_uri is not supported.')
  }
}

/** R44 */
function assertResponseType(parameters: Parameters): void {
  const responseType = parameters.get('response_type')
  if (responseType === undefined) {
    throw new OAuthError('invalid_request', 'The parameter response_type is missing.')
  }
  if (responseType !== 'code') {
    throw new OAuthError('unsupported_response_type', 'Only the response_type code is supported.')
  }
}

/** R44 */
function assertResponseMode(parameters: Parameters): void {
  const responseMode = parameters.get('response_mode')
  if (responseMode !== undefined && responseMode !== 'query') {
    throw new OAuthError('invalid_request', 'Only the response_mode query is supported.')
  }
}

/** R43: for every client. No method means `plain` (RFC 7636 §4.3), and that protects nothing. */
function checkedCodeChallenge(parameters: Parameters): string {
  const challenge = parameters.get('code_challenge')
  if (challenge === undefined) {
    throw new OAuthError('invalid_request', 'The parameter code_challenge is missing: PKCE is required.')
  }
  if (parameters.get('code_challenge_method') !== 'S256') {
    throw new OAuthError('invalid_request', 'The parameter code_challenge_method must be S256.')
  }
  if (!isS256CodeChallenge(challenge)) {
    throw new OAuthError('invalid_request', 'The parameter code_challenge is malformed (RFC 7636 4.2).')
  }
  return challenge
}

/** R54: an unknown resource is refused, never replaced. One token is for one resource (RFC 8707 §2). */
function checkedResource(parameters: Parameters, { resources }: RequestRules): string {
  const presented = parameters.getAll('resource')
  const resource = presented.length === 0 ? resources[0] : findOneResource(resources, presented)
  if (resource === undefined) {
    throw new OAuthError('invalid_target', 'The resource is unknown, or there is more than one.')
  }
  return resource
}

/**
 * R55: what is unknown or not for this client is dropped, as long as something is left. `offline_access` is
 * what clients add for a refresh token, which they get without it; alone, it asks for nothing in particular. `openid`
 * asks who the user is: of the resource, which every access token opens, it says nothing, and the page must (R64).
 */
function checkedScopes(parameters: Parameters, client: RequestingClient, rules: RequestRules): string[] {
  const isOffered = (scope: string) =>
    Object.hasOwn(rules.scopes, scope) &&
    (client.scopes?.includes(scope) ?? true) &&
    // R23: nobody vouches for a client that made itself known.
    (client.kind === 'configured' || !rules.sensitiveScopes.includes(scope))
  const value = parameters.get('scope')
  const parsed = value === undefined ? [] : parseScope(value)
  if (!parsed) throw new OAuthError('invalid_scope', 'The parameter scope is malformed (RFC 6749 3.3).')
  const asked = parsed.filter(scope => scope !== 'offline_access' || isOffered(scope))
  if (asked.length === 0) return rules.defaultScopes.filter(isOffered)
  const scopes = asked.filter(isOffered)
  if (scopes.length === 0) {
    throw new OAuthError('invalid_scope', 'None of the scopes asked for is offered to this client.')
  }
  const isIdentityOnly = scopes.every(scope => scope === openidScope)
  return isIdentityOnly ? [...scopes, ...rules.defaultScopes.filter(isOffered)] : scopes
}

function checkedState(parameters: Parameters): string | undefined {
  return checkedText(parameters, 'state', maxStateLength)
}

function checkedText(
  parameters: Parameters,
  name: 'state' | 'nonce' | 'acr_values',
  maxLength: number,
): string | undefined {
  const value = parameters.get(name)
  if (value !== undefined && value.length > maxLength) {
    throw new OAuthError('invalid_request', `The parameter ${name} is too long.`)
  }
  return value
}

/** RFC 9449 §10. Where nobody can prove a key, the parameter is unknown, and means nothing. */
function checkedDpopJkt(parameters: Parameters, { dpop }: RequestRules): string | undefined {
  const value = dpop && parameters.get('dpop_jkt')
  if (value !== undefined && !isThumbprint(value)) {
    throw new OAuthError('invalid_request', 'The parameter dpop_jkt must be a SHA-256 thumbprint.')
  }
  return value
}

/**
 * R59: nobody is signed in before the user has acted. `consent` is what happens anyway. Of the others those count that
 * the sign-in honours; what it does not is not advertised, and ignored.
 */
function checkedPrompts(parameters: Parameters, { signIn }: RequestRules): LoginPrompt[] {
  const asked = parameters.get('prompt')?.split(' ') ?? []
  if (!asked.includes('none')) return (signIn.prompts ?? []).filter(prompt => asked.includes(prompt))
  if (asked.length > 1) {
    throw new OAuthError('invalid_request', 'The prompt none cannot be combined with others.')
  }
  throw new OAuthError('login_required', 'The user must sign in.')
}

/** OpenID Connect Core §3.1.2.1; a sign-in that cannot keep to it must not look as if it had. */
function checkedMaxAge(parameters: Parameters, { signIn }: RequestRules): number | undefined {
  const value = parameters.get('max_age')
  if (value === undefined) return undefined
  if (!/^\d{1,10}$/.test(value)) {
    throw new OAuthError('invalid_request', 'The parameter max_age must be a whole number of seconds.')
  }
  if (!signIn.prompts?.includes('login')) {
    throw new OAuthError(
      'unmet_authentication_requirements',
      'This server cannot tell when its users authenticated. Send the request without max_age.',
    )
  }
  return Number(value)
}
