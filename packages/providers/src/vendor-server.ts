import type { ProviderEndpoints } from './provider-definition.ts'
import { assertSecureUrls } from './secure-url.ts'
import type { UpstreamServer } from './upstream-server.ts'

/**
 * The authorization server of a vendor whose addresses are known: what it has keys for it signs by RS256, and it sends
 * no `iss`.
 *
 * @throws {ConfigurationError} when an address is neither https nor http on loopback
 */
export function vendorServer(
  label: string,
  endpoints: Pick<ProviderEndpoints, 'authorization' | 'token' | 'issuers'> & Partial<ProviderEndpoints>,
  traits: Omit<
    UpstreamServer,
    'issuers' | 'authorizationEndpoint' | 'tokenEndpoint' | 'idTokenAlgorithms' | 'sendsIssuer'
  >,
): () => Promise<UpstreamServer> {
  assertSecureUrls(label, addressesOf(endpoints))
  return async () => ({
    issuers: endpoints.issuers,
    authorizationEndpoint: endpoints.authorization,
    tokenEndpoint: endpoints.token,
    idTokenAlgorithms: traits.jwksUri === undefined ? [] : ['RS256'],
    sendsIssuer: false,
    ...traits,
  })
}

/** The addresses among a provider's endpoints. */
function addressesOf({
  authorization,
  token,
  jwks,
  userinfo,
  revocation,
  securityEvents,
}: Partial<ProviderEndpoints>): string[] {
  return [authorization, token, jwks, userinfo, revocation, securityEvents].filter(
    address => address !== undefined,
  )
}
