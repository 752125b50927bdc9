import type { Clock } from '@sallyport/oauth'
import { z } from 'zod'
import { createCachedDocument } from './cached-document.ts'
import { isSecureUrl } from './secure-url.ts'
import type { UpstreamServer } from './upstream-server.ts'

/** Asymmetric algorithms only: with HS256 the client secret would be a signing key. */
const knownAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
]

const url = z.string().refine(isSecureUrl)
const list = z.array(z.string()).optional()
const metadataSchema = z.object({
  issuer: z.string(),
  authorization_endpoint: url,
  token_endpoint: url,
  jwks_uri: url,
  revocation_endpoint: url.optional().catch(undefined),
  revocation_endpoint_auth_methods_supported: list,
  id_token_signing_alg_values_supported: list,
  token_endpoint_auth_methods_supported: list,
  scopes_supported: list,
  authorization_response_iss_parameter_supported: z.boolean().optional(),
})

/**
 * Reads an OpenID provider's discovery document (OpenID Connect Discovery 1.0 §4), at first use and again after an
 * hour; parallel callers share one request. The returned function throws `UpstreamError`: `transient` when the
 * document cannot be had now, `misconfigured` when it is not one of this issuer.
 */
export function createDiscovery(issuer: string, clock: Clock): () => Promise<UpstreamServer> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  return createCachedDocument(address, text => readServer(text, issuer), clock)
}

function readServer(text: string, issuer: string): UpstreamServer | undefined {
  const metadata = readMetadata(text)
  // §4.3: byte for byte, or another issuer could answer for this one.
  if (metadata?.issuer !== issuer) return undefined
  const clientAuthentication = authenticationOf(metadata.token_endpoint_auth_methods_supported)
  const algorithms = metadata.id_token_signing_alg_values_supported ?? ['RS256']
  return {
    issuers: [issuer],
    authorizationEndpoint: metadata.authorization_endpoint,
    tokenEndpoint: metadata.token_endpoint,
    jwksUri: metadata.jwks_uri,
    clientAuthentication,
    idTokenAlgorithms: knownAlgorithms.filter(algorithm => algorithms.includes(algorithm)),
    sendsIssuer: metadata.authorization_response_iss_parameter_supported ?? false,
    ...(metadata.revocation_endpoint !== undefined && {
      revocation: {
        endpoint: metadata.revocation_endpoint,
        // RFC 8414 §2: where it does not say, as at the token endpoint.
        authentication: metadata.revocation_endpoint_auth_methods_supported
          ? authenticationOf(metadata.revocation_endpoint_auth_methods_supported)
          : clientAuthentication,
      },
    }),
    ...(metadata.scopes_supported?.includes('offline_access')
      ? { givesRefreshTokens: true, offlineScope: 'offline_access' }
      : { givesRefreshTokens: false }),
  }
}

const authenticationOf = (methods: readonly string[] = ['client_secret_basic']): 'basic' | 'post' =>
  methods.includes('client_secret_basic') ? 'basic' : 'post'

function readMetadata(text: string): z.infer<typeof metadataSchema> | undefined {
  try {
    return metadataSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
