import type { Clock } from '@sallyport/oauth'
import { z } from 'zod'
import { fetchLimited } from './limited-fetch.ts'
import { isSecureUrl, type UpstreamServer } from './provider-definition.ts'
import { UpstreamError } from './upstream-error.ts'

/** How long a discovery document is used before it is read again, in seconds. */
const cacheSeconds = 3600
const limits = { timeoutMs: 5_000, maxBytes: 256 * 1024 }

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
  let cached: { server: Promise<UpstreamServer>; until: number } | undefined
  return async () => {
    if (cached && clock() < cached.until) return cached.server
    const entry = { server: discover(issuer), until: clock() + cacheSeconds }
    cached = entry
    // A failure is not remembered: the next call asks again.
    entry.server.catch(() => {
      if (cached === entry) cached = undefined
    })
    return entry.server
  }
}

async function discover(issuer: string): Promise<UpstreamServer> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const response = await fetchLimited(address, { headers: { accept: 'application/json' } }, limits).catch(
    () => undefined,
  )
  if (!response || response.status >= 500 || response.status === 429) throw new UpstreamError('transient')
  const metadata = response.status === 200 ? readMetadata(response.text) : undefined
  // §4.3: byte for byte, or another issuer could answer for this one.
  if (metadata?.issuer !== issuer) throw new UpstreamError('misconfigured')
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
