import { describe, expect, it } from 'vitest'
import { ConfigurationError, OAuthError, StoreUnavailableError } from '../errors.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { sha256 } from '../protocol/hash.ts'
import { systemRandom } from '../runtime.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import type { ConfiguredClient } from './client.ts'
import { createMetadataDocuments } from './client-id-metadata-document.ts'
import { parseClientMetadata } from './client-metadata.ts'
import { packClientId, registeredClientSecret } from './registered-client.ts'
import { type ClientResolverOptions, createClientResolver } from './resolve-client.ts'

const now = 1_800_000_000
const clock = () => now
const secrets = createSecretRing(['canary-ring-secret-0123456789-0123456789'])
const redirectUris = ['https://client.example/cb']
const url = 'https://client.example/client.json'
const clientSecret = 'canary-secret-0123456789'

const register = (members: Record<string, unknown> = {}, schemes: readonly string[] = []) => {
  const metadata = parseClientMetadata(
    { redirect_uris: redirectUris, client_name: 'Registered', ...members },
    { schemes },
  )
  return packClientId({ secrets, random: systemRandom, clock }, metadata).clientId
}

function setUp(options: Partial<ClientResolverOptions> = {}) {
  const store = createMemoryStore()
  const fetched: string[] = []
  const documents = createMetadataDocuments({
    clock,
    schemes: [],
    fetchDocument: async address => {
      fetched.push(address)
      const body = JSON.stringify({
        client_id: address,
        client_name: 'Document',
        redirect_uris: redirectUris,
      })
      return { outcome: 'fetched', body, cacheControl: 'no-store', ageSeconds: 0 }
    },
  })
  const resolver = createClientResolver({
    configured: [],
    secrets,
    store,
    clock,
    documents,
    dynamicRegistration: true,
    schemes: [],
    ...options,
  })
  return { store, fetched, resolve: (clientId: string) => resolver.resolveClient(clientId) }
}

describe('resolveClient', () => {
  it('a configured client is known as its deployer wrote it', async () => {
    const { resolve } = setUp({
      configured: [
        { clientId: 'app', clientName: 'App', redirectUris, clientSecret, scopes: ['notes:read'] },
      ],
    })
    const client = await resolve('app')
    expect(client).toMatchObject({
      clientId: 'app',
      kind: 'configured',
      clientName: 'App',
      redirectUris,
      grantTypes: ['authorization_code', 'refresh_token'],
      tokenEndpointAuthMethod: 'client_secret_basic',
      scopes: ['notes:read'],
    })
    expect(client?.isSecret?.(clientSecret)).toBe(true)
    for (const wrong of ['', clientSecret.slice(1), `${clientSecret}x`, clientSecret.toUpperCase()]) {
      expect(client?.isSecret?.(wrong)).toBe(false)
    }
  })

  it('R85: a configured client without a secret is public', async () => {
    const client = await setUp({ configured: [{ clientId: 'app', redirectUris }] }).resolve('app')
    expect(client).toMatchObject({ tokenEndpointAuthMethod: 'none', isSecret: undefined, scopes: undefined })
  })

  it('R21: a registered client is known to every server with the same secret, and nothing was stored', async () => {
    const clientId = register({
      token_endpoint_auth_method: 'client_secret_post',
      client_uri: 'https://client.example',
    })
    const client = await setUp().resolve(clientId)
    expect(client).toMatchObject({
      clientId,
      kind: 'registered',
      clientName: 'Registered',
      clientUri: 'https://client.example',
      redirectUris,
      tokenEndpointAuthMethod: 'client_secret_post',
      scopes: undefined,
    })
    expect(client?.isSecret?.(registeredClientSecret(secrets, clientId))).toBe(true)
    expect(client?.isSecret?.(clientSecret)).toBe(false)
  })

  it('a client with a metadata document is known by its URL', async () => {
    const { resolve, fetched } = setUp()
    expect(await resolve(url)).toMatchObject({
      clientId: url,
      kind: 'metadata-document',
      clientName: 'Document',
      redirectUris,
      tokenEndpointAuthMethod: 'none',
      isSecret: undefined,
    })
    expect(fetched).toEqual([url])
  })

  it('a configured client comes before its document', async () => {
    const { resolve, fetched } = setUp({ configured: [{ clientId: url, redirectUris, clientName: 'Mine' }] })
    expect(await resolve(url)).toMatchObject({ kind: 'configured', clientName: 'Mine' })
    expect(fetched).toEqual([])
  })

  it('R8: with metadata documents off, a URL is an unknown client and causes no request', async () => {
    const { resolve, fetched } = setUp({ documents: undefined })
    expect(await resolve(url)).toBeUndefined()
    expect(fetched).toEqual([])
  })

  it('R13: with registration off, nobody has registered', async () => {
    expect(await setUp({ dynamicRegistration: false }).resolve(register())).toBeUndefined()
  })

  it.each([
    '',
    'unknown',
    'dcr.',
    'https://client.example/',
    'http://client.example/c.json',
    'https://user@client.example/c',
    '__proto__',
    'x'.repeat(100_000),
  ])('R27, R38: %j is unknown, without a request and without a look into the store', async clientId => {
    const { resolve, fetched } = setUp({
      store: { isClientDeleted: () => Promise.reject(new StoreUnavailableError('asked')) },
    })
    expect(await resolve(clientId)).toBeUndefined()
    expect(fetched).toEqual([])
  })

  it.each([
    ['configured', () => 'app'],
    ['registered', () => register()],
    ['metadata-document', () => url],
  ])('R21, R79: a deleted %s client is unknown from then on', async (kind, make) => {
    const { resolve, store, fetched } = setUp({ configured: [{ clientId: 'app', redirectUris }] })
    const clientId = make()
    expect((await resolve(clientId))?.kind).toBe(kind)
    await store.putClientTombstone({ clientIdHash: sha256(clientId), expiresAt: now + 100, now })
    const before = fetched.length
    expect(await resolve(clientId)).toBeUndefined()
    expect(fetched).toHaveLength(before)
  })

  it('R15: a client that is known makes no other known: each change to its id is a stranger', async () => {
    const { resolve } = setUp()
    const clientId = register()
    const known = await resolve(clientId)
    expect(known).toMatchObject({ kind: 'registered', clientId })
    for (const changed of [`${clientId}A`, clientId.slice(0, -1), clientId.toUpperCase(), ` ${clientId}`]) {
      expect(await resolve(changed)).toBeUndefined()
    }
    expect(await resolve(clientId)).toEqual(known)
  })

  it('R92: a store that is down is not an unknown client', async () => {
    const { resolve } = setUp({
      configured: [{ clientId: 'app', redirectUris }],
      store: { isClientDeleted: () => Promise.reject(new StoreUnavailableError('down')) },
    })
    for (const clientId of ['app', register(), url]) {
      await expect(resolve(clientId)).rejects.toThrow(StoreUnavailableError)
    }
  })

  it('R38: a document that cannot be had is trouble, not an unknown client', async () => {
    const documents = createMetadataDocuments({
      clock,
      schemes: [],
      fetchDocument: () => Promise.reject(new Error('x')),
    })
    const { resolve } = setUp({ documents })
    await expect(resolve(url)).rejects.toThrow(OAuthError)
    await expect(resolve(url)).rejects.toThrow('temporarily_unavailable')
  })

  it('R16: a scheme that the deployer no longer allows is gone from old registrations too', async () => {
    const clientId = register({ redirect_uris: ['myapp://cb', ...redirectUris] }, ['myapp'])
    expect((await setUp({ schemes: ['myapp'] }).resolve(clientId))?.redirectUris).toEqual([
      'myapp://cb',
      ...redirectUris,
    ])
    expect((await setUp().resolve(clientId))?.redirectUris).toEqual(redirectUris)
  })
})

describe('configured clients are checked at start', () => {
  const start = (change: Partial<ConfiguredClient>) => () =>
    setUp({ configured: [{ clientId: 'app', redirectUris, ...change }] })

  it.each<[string, Partial<ConfiguredClient>]>([
    ['an empty id', { clientId: '' }],
    ['an id with a line break', { clientId: 'a\nb' }],
    ['an id that looks registered', { clientId: 'dcr.x' }],
    ['no redirect URI', { redirectUris: [] }],
    ['a redirect URI off this machine without https', { redirectUris: ['http://client.example/cb'] }],
    ['a redirect URI with a fragment', { redirectUris: ['https://client.example/cb#x'] }],
    ['a short secret', { clientSecret: 'short' }],
    ['a secret that is no ASCII', { clientSecret: 'ü'.repeat(20) }],
    ['a secret and the method none', { clientSecret, tokenEndpointAuthMethod: 'none' }],
    ['no secret for client_secret_basic', { tokenEndpointAuthMethod: 'client_secret_basic' }],
    ['no secret for client_secret_post', { tokenEndpointAuthMethod: 'client_secret_post' }],
    ['a grant type that is not offered', { grantTypes: ['client_credentials'] }],
    ['a scope that is two', { scopes: ['a b'] }],
  ])('%s stops the server, in one sentence that names the client and no secret', (_, change) => {
    expect(start(change)).toThrow(ConfigurationError)
    expect(start(change)).toThrow(/^The client ".*" of the option clients .*[^.]\.$/)
    expect(start(change)).not.toThrow(/canary|short|ü/)
  })

  it('two clients with one id stop the server', () => {
    const client = { clientId: 'app', redirectUris }
    expect(() => setUp({ configured: [client, client] })).toThrow(ConfigurationError)
  })

  it.each(['javascript', 'https', 'MyApp', 'myapp:', ''])('R16: the scheme %j cannot be allowed', scheme => {
    expect(() => setUp({ schemes: [scheme] })).toThrow(ConfigurationError)
  })
})
