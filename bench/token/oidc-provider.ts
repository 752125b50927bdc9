import { randomBytes } from 'node:crypto'
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import Provider, { type AdapterFactory } from 'oidc-provider'
import {
  accessTokenSeconds,
  type Contender,
  type ContenderSettings,
  challenge,
  redirectUri,
  resource,
  scopes,
} from './contender.ts'

/**
 * panva's oidc-provider over its own memory adapter. As a JWT its access token is what ours is, and a resource
 * server verifies it with jose; opaque, which is its default, it is looked up in the provider's store.
 */
export async function createOidcProvider({ name, port }: ContenderSettings): Promise<Contender> {
  const isJwt = name === 'oidc-jwt'
  const issuer = `http://localhost:${port}`
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const publicJwk = { ...(await exportJWK(publicKey)), kid: 'bench', use: 'sig', alg: 'ES256' }
  const provider = new Provider(issuer, {
    adapter: await memoryAdapter(),
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'bench', use: 'sig', alg: 'ES256' }] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    scopes,
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: scopes.join(' '),
          audience: resource,
          accessTokenTTL: accessTokenSeconds,
          accessTokenFormat: isJwt ? 'jwt' : 'opaque',
          ...(isJwt && { jwt: { sign: { alg: 'ES256' } } }),
        }),
      },
    },
    findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    expiresWithSession: () => false,
    ttl: {
      AccessToken: accessTokenSeconds,
      AuthorizationCode: 600,
      Grant: 30 * 86_400,
      RefreshToken: 86_400,
    },
  })
  const keys = createLocalJWKSet({ keys: [publicJwk] })
  const verifyJwt = (token: string) =>
    jwtVerify(token, keys, {
      algorithms: ['ES256'],
      typ: 'at+jwt',
      issuer,
      audience: resource,
      requiredClaims: ['sub', 'client_id', 'iat', 'exp', 'jti'],
    })
  const findOpaque = async (token: string) => {
    const found = await provider.AccessToken.find(token)
    if (!found?.isValid || found.aud !== resource) throw new Error('the access token is not valid')
  }
  return {
    tokenPath: '/token',
    registrationPath: '/reg',
    listener: provider.callback(),
    mintCodes: async (clientId, count) => {
      const client = await provider.Client.find(clientId)
      if (!client) throw new Error('the client is unknown')
      return Promise.all(Array.from({ length: count }, () => saveCode(provider, client)))
    },
    verify: isJwt ? verifyJwt : findOpaque,
    close: async () => {},
  }
}

type Client = NonNullable<Awaited<ReturnType<Provider['Client']['find']>>>

/** The grant and the code that the end of a sign-in saves. */
async function saveCode(provider: Provider, client: Client): Promise<string> {
  const accountId = randomBytes(18).toString('base64url')
  const grant = new provider.Grant({ accountId, clientId: client.clientId })
  grant.addResourceScope(resource, scopes.join(' '))
  const grantId = await grant.save()
  const code = new provider.AuthorizationCode({
    accountId,
    client,
    grantId,
    gty: 'authorization_code',
    authTime: Math.floor(Date.now() / 1000),
    codeChallenge: challenge,
    codeChallengeMethod: 'S256',
    redirectUri,
    resource,
    scope: scopes.join(' '),
    expiresWithSession: false,
  } as ConstructorParameters<Provider['AuthorizationCode']>[0])
  return code.save()
}

/** The adapter is the library's; it is given room, because by default it forgets all but the last 1000 records. */
async function memoryAdapter(): Promise<AdapterFactory> {
  // Not part of the types of the package.
  const [adapter, lru] = ['adapters/memory_adapter.js', 'helpers/lru.js'].map(
    path => `oidc-provider/lib/${path}`,
  )
  const { default: MemoryAdapter } = await import(adapter!)
  const { default: Lru } = await import(lru!)
  const storage = new Lru({ maxSize: 1_000_000 })
  return model => new MemoryAdapter(model, storage)
}
