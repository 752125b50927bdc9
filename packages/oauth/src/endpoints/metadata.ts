import { assertionAlgorithms } from '../clients/assertion-algorithms.ts'
import type { Context, Endpoint } from '../context.ts'
import type { SigningAlgorithm } from '../keys/signing-algorithm.ts'
import type { Login } from '../login.ts'
import { idJagProfile, jwtBearerGrantType } from '../protocol/grant-types.ts'
import { introspectionAuthenticationMethods } from './introspect.ts'
import { endpointPaths } from './paths.ts'
import { json } from './respond.ts'

/** How clients may authenticate, at the token and the revocation endpoint alike. */
const authenticationMethods = [
  'none',
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
] as const

/** Clients read the documents again after each 401; five minutes keep that cheap and a change visible (R11). */
const cacheControl = 'public, max-age=300'

/** Claims an id_token may have; userinfo has `sub`. */
const idTokenClaims = ['iss', 'sub', 'aud', 'exp', 'iat', 'auth_time', 'nonce', 'amr', 'acr', 'sid'] as const

type Configuration = Pick<
  Context,
  | 'issuer'
  | 'scopes'
  | 'openid'
  | 'grantTypes'
  | 'dynamicRegistration'
  | 'clientIdMetadataDocuments'
  | 'resourceServers'
> & {
  readonly signIn: Pick<Login, 'prompts'>
  readonly dpop: Pick<NonNullable<Context['dpop']>, 'algorithms'> | undefined
}

/**
 * The authorization server metadata (RFC 8414 §2). It comes from the configuration and from nothing else (R3),
 * and names only what is enforced (R5).
 *
 * @param signingAlgorithm what id_tokens are signed with. Given for both locations where OpenID Connect is on:
 *   strict clients refuse a whole token response whose id_token has an algorithm they were not told of. Where it is
 *   off, for the OpenID location only, whose readers insist on the members that OpenID Connect Discovery §3 requires
 */
export function authorizationServerMetadata(
  {
    issuer,
    scopes,
    openid,
    signIn,
    grantTypes,
    dynamicRegistration,
    clientIdMetadataDocuments,
    resourceServers,
    dpop,
  }: Configuration,
  signingAlgorithm?: SigningAlgorithm,
): Record<string, unknown> {
  const scopeNames = Object.keys(scopes)
  return {
    issuer,
    authorization_endpoint: issuer + endpointPaths.authorize,
    pushed_authorization_request_endpoint: issuer + endpointPaths.push,
    token_endpoint: issuer + endpointPaths.token,
    jwks_uri: issuer + endpointPaths.jwks,
    ...(dynamicRegistration && { registration_endpoint: issuer + endpointPaths.register }),
    revocation_endpoint: issuer + endpointPaths.revoke,
    ...(resourceServers && {
      introspection_endpoint: issuer + endpointPaths.introspect,
      introspection_endpoint_auth_methods_supported: introspectionAuthenticationMethods,
    }),
    // R11: no empty arrays.
    ...(scopeNames.length > 0 && { scopes_supported: scopeNames }),
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: grantTypes,
    // R10: that there are issuers, and never which.
    ...(grantTypes.includes(jwtBearerGrantType) && {
      authorization_grant_profiles_supported: [idJagProfile],
    }),
    token_endpoint_auth_methods_supported: authenticationMethods,
    // R9
    token_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    revocation_endpoint_auth_methods_supported: authenticationMethods,
    revocation_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    // R6: MCP clients refuse a server whose metadata does not name S256.
    code_challenge_methods_supported: ['S256'],
    // R7: every redirected answer carries `iss` (RFC 9207 §3).
    authorization_response_iss_parameter_supported: true,
    // R159, RFC 9449 §5.1: absent when off.
    ...(dpop && { dpop_signing_alg_values_supported: dpop.algorithms }),
    // R8: absent when off.
    ...(clientIdMetadataDocuments && { client_id_metadata_document_supported: true }),
    // R59: `none` never gives a code, the user is asked each time, and what else is here a login does for us.
    prompt_values_supported: ['none', 'consent', ...(signIn.prompts ?? [])],
    ...(openid && {
      userinfo_endpoint: issuer + endpointPaths.userinfo,
      end_session_endpoint: issuer + endpointPaths.endSession,
      claims_supported: idTokenClaims,
    }),
    ...(signingAlgorithm && {
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [signingAlgorithm],
      // R61: absent, it would mean true (OpenID Connect Discovery §3).
      request_uri_parameter_supported: false,
    }),
  }
}

/** Serves the metadata; `signingAlgorithm` as above. */
export function createMetadataEndpoint(signingAlgorithm?: SigningAlgorithm): Endpoint {
  return async context =>
    json(authorizationServerMetadata(context, signingAlgorithm), {
      headers: { 'Cache-Control': cacheControl },
    })
}

/**
 * Paths of the two documents: the well-known segment goes between host and path of the issuer (RFC 8414 §3.1);
 * OpenID Connect Discovery §4 appends it. Clients try all of them in turn (R1).
 */
export function metadataPaths(issuer: string): { oauth: readonly string[]; openid: readonly string[] } {
  const { pathname } = new URL(issuer)
  const path = pathname === '/' ? '' : pathname
  const inserted = `/.well-known/openid-configuration${path}`
  const appended = `${path}/.well-known/openid-configuration`
  return {
    oauth: [`/.well-known/oauth-authorization-server${path}`],
    openid: path === '' ? [inserted] : [inserted, appended],
  }
}
