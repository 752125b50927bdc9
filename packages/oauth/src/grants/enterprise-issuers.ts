import type { JWK } from 'jose'
import { z } from 'zod'
import { type AssertionAlgorithm, assertionAlgorithms } from '../clients/assertion-algorithms.ts'
import type { ConfiguredClient } from '../clients/client.ts'
import type { ClientKeySource } from '../clients/client-keys.ts'
import { publicJwks } from '../clients/client-metadata.ts'
import { isDocumentLocation } from '../clients/document-fetch.ts'
import { ConfigurationError } from '../errors.ts'
import { jwtBearerGrantType } from '../protocol/grant-types.ts'

/**
 * An identity provider whose assertions about its users are exchanged for access tokens: enterprise-managed
 * authorization.
 *
 * @see draft-ietf-oauth-identity-assertion-authz-grant
 */
export interface EnterpriseIssuer {
  /** The `iss` of its assertions, byte for byte: an https URL. */
  issuer: string
  /** Its public keys. Not together with `jwksUri`. */
  jwks?: { readonly keys: readonly JWK[] }
  /**
   * Where its keys are: https, a public address, the usual port. Default, without `jwks`: where its OpenID Connect
   * discovery document says.
   */
  jwksUri?: string
  /** Algorithms its assertions may have. Default: ES256, EdDSA, PS256 and RS256. */
  algorithms?: readonly AssertionAlgorithm[]
  /**
   * Tenants that are trusted, for an issuer that serves several: each assertion must then name one of them. Users of two
   * tenants are never the same user. Default: an issuer with one tenant, whose assertions name none.
   */
  tenants?: readonly string[]
  /** Ids of the clients that may bring its assertions. Default: every client that may use the grant. */
  clients?: readonly string[]
  /** Scopes its assertions can give. Default: all that the server and the client have. */
  scopes?: readonly string[]
}

/** An issuer whose configuration has been checked. */
export interface TrustedIssuer {
  readonly issuer: string
  /** Undefined: the issuer says where they are. */
  readonly keys: ClientKeySource | undefined
  readonly algorithms: readonly AssertionAlgorithm[]
  readonly tenants: readonly string[] | undefined
  readonly clients: readonly string[] | undefined
  readonly scopes: readonly string[] | undefined
}

/** Where an issuer says what its keys are (OpenID Connect Discovery §4). */
export const discoveryUrl = (issuer: string): string =>
  `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`

const list = <Member extends z.ZodType<string>>(name: string, member: Member, error: string) =>
  z
    .array(member, { error })
    .min(1, { error: `has an empty list of ${name}: name at least one or leave it out` })
    .readonly()
    .optional()
const names = (name: string) => {
  const error = `needs ${name} to be a list of strings`
  return list(name, z.string({ error }).min(1, { error }), error)
}
const algorithmsError = `can have the algorithms ${assertionAlgorithms.join(', ')} only`
const issuerError = 'needs an issuer that is an https URL without query, fragment and user'
const jwksUriError = 'needs a jwksUri that is an https URL without port, user or fragment'
const jwksError = 'needs jwks with public keys only, RSA of at least 2048 bits'

const schema = z.strictObject({
  issuer: z.string({ error: issuerError }).refine(isIssuer, { error: issuerError }),
  jwks: z.custom<{ readonly keys: readonly JWK[] }>(isPublicKeySet, { error: jwksError }).optional(),
  jwksUri: z
    .string({ error: jwksUriError })
    .refine(url => isDocumentLocation(url, { allowLoopback: true }), { error: jwksUriError })
    .optional(),
  algorithms: list('algorithms', z.enum(assertionAlgorithms, { error: algorithmsError }), algorithmsError),
  tenants: names('tenants'),
  clients: names('clients'),
  scopes: names('scopes'),
})

/**
 * Checks the configured issuers.
 *
 * @param own the authorization server's own issuer, scopes and clients
 * @throws {ConfigurationError} when one cannot work
 */
export function checkEnterpriseIssuers(
  configured: readonly EnterpriseIssuer[],
  own: { issuer: string; scopes: readonly string[]; clients: readonly ConfiguredClient[] },
): ReadonlyMap<string, TrustedIssuer> {
  const trusted = new Map<string, TrustedIssuer>()
  for (const entry of configured) {
    const problem = (text: string) =>
      new ConfigurationError(
        `The issuer ${JSON.stringify(entry.issuer)} of the option enterpriseIssuers ${text}.`,
      )
    const parsed = schema.safeParse(entry)
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      throw problem(
        issue?.code === 'unrecognized_keys'
          ? `has the unknown member ${issue.keys.join(', ')}: correct its name`
          : (issue?.message ?? 'cannot be used'),
      )
    }
    const { issuer, jwks, jwksUri, algorithms = assertionAlgorithms, tenants, clients, scopes } = parsed.data
    if (trusted.has(issuer)) throw problem('is configured twice: keep one of them')
    // draft-ietf-oauth-identity-assertion-authz-grant §8.3: nobody turns assertions of its own into tokens.
    if (issuer === own.issuer) throw problem('is this server itself: name the identity provider')
    if (jwks && jwksUri !== undefined) throw problem('has jwks and jwksUri: remove one of them')
    if (
      !jwks &&
      jwksUri === undefined &&
      !isDocumentLocation(discoveryUrl(issuer), { allowLoopback: true })
    ) {
      throw problem('has a port, where its discovery document is not fetched: give it jwks or a jwksUri')
    }
    const unknown = scopes?.find(scope => !own.scopes.includes(scope))
    if (unknown !== undefined) {
      throw problem(`names the scope ${JSON.stringify(unknown)}, which the server does not have: correct it`)
    }
    const idle = own.clients.find(
      ({ clientId, grantTypes }) => clients?.includes(clientId) && !grantTypes?.includes(jwtBearerGrantType),
    )
    if (idle) {
      throw problem(
        `names the client ${JSON.stringify(idle.clientId)}, which may not use its assertions: add ${jwtBearerGrantType} to its grantTypes`,
      )
    }
    trusted.set(issuer, {
      issuer,
      keys: jwks ? { jwks: publicJwks(jwks) ?? [] } : jwksUri === undefined ? undefined : { jwksUri },
      algorithms,
      tenants,
      clients,
      scopes,
    })
  }
  return trusted
}

function isIssuer(value: string): boolean {
  if (!value.startsWith('https://') || !URL.canParse(value)) return false
  const { href, username, password, search, hash } = new URL(value)
  // Compared byte for byte: what a parser would write otherwise, an assertion never says.
  return (href === value || href === `${value}/`) && `${username}${password}${search}${hash}` === ''
}

function isPublicKeySet(value: unknown): boolean {
  const keys = publicJwks(value)
  return keys !== undefined && keys.length > 0 && keys.length === (value as { keys: unknown[] }).keys.length
}
