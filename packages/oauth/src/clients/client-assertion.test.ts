import { createHmac, generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  createFixture,
  type Fixture,
  issuer,
  jwtClient,
  jwtKey,
  keyClient,
  otherResource,
  outcome,
  publicClient,
  redirectUri,
  resource,
  type TestClient,
} from '../authorization-server.fixture.ts'
import { ConfigurationError, OAuthError, StoreUnavailableError } from '../errors.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { createLimits } from '../limits/limits.ts'
import { single } from '../protocol/parameters.ts'
import { systemRandom } from '../runtime.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { authenticateClient } from './authenticate-client.ts'
import type { ConfiguredClient } from './client.ts'
import { assertionType, createTestKey, signAssertion, signJws } from './client-assertion.fixture.ts'
import { createClientAssertions } from './client-assertion.ts'
import type { ClientMetadata } from './client-metadata.ts'
import { createClientResolver } from './resolve-client.ts'

const tokenEndpoint = `${issuer}/oauth/token`
const secondKey = createTestKey('second-key')
const strangerKey = createTestKey('jwt-key')
const { privateKey: rsa, publicKey: rsaPublic } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const rsaJwk = { ...rsaPublic.export({ format: 'jwk' }), kid: 'rsa' }
const machine = { grantTypes: ['client_credentials', 'authorization_code'], scopes: ['notes:read'] }
const clients: readonly ConfiguredClient[] = [
  {
    clientId: 'jwt',
    redirectUris: [redirectUri],
    jwks: { keys: [secondKey.publicJwk, jwtKey.publicJwk, rsaJwk] },
    ...machine,
  },
  {
    clientId: 'rs256-only',
    redirectUris: [redirectUri],
    jwks: { keys: [jwtKey.publicJwk, rsaJwk] },
    tokenEndpointAuthSigningAlg: 'RS256',
    ...machine,
  },
  {
    clientId: 'legacy',
    redirectUris: [redirectUri],
    jwks: { keys: [jwtKey.publicJwk] },
    acceptTokenEndpointAudience: true,
    ...machine,
  },
  { clientId: 'victim', redirectUris: [redirectUri], jwks: { keys: [secondKey.publicJwk] }, ...machine },
  { clientId: 'public', redirectUris: [redirectUri] },
]
const setUp = (...[options, wrap]: Parameters<typeof createFixture>) =>
  createFixture({ clients, ...options }, wrap)
const now = 1_800_000_000

const assertion = (change: Partial<Parameters<typeof signAssertion>[0]> = {}) =>
  signAssertion({ clientId: 'jwt', key: jwtKey, audience: issuer, now, ...change })
const present = (
  fixture: Fixture,
  clientAssertion: string,
  body: Record<string, string> = {},
): Promise<Response> =>
  fixture.post('/oauth/token', {
    grant_type: 'client_credentials',
    client_assertion_type: assertionType,
    client_assertion: clientAssertion,
    ...body,
  })

describe('client assertions', () => {
  it.each<[string, () => string, Record<string, string>?]>([
    ['the issuer as audience', () => assertion()],
    ['one audience in a list', () => assertion({ claims: { aud: [issuer] } })],
    ['the type of any JWT', () => assertion({ header: { typ: 'JWT' } })],
    ['the type of its own', () => assertion({ header: { typ: 'client-authentication+jwt' } })],
    ['its type in full', () => assertion({ header: { typ: 'application/Client-Authentication+JWT' } })],
    ['no kid: every key is tried', () => assertion({ header: { kid: undefined } })],
    ['no iat', () => assertion({ claims: { iat: undefined } })],
    ['an nbf that has come', () => assertion({ claims: { nbf: now } })],
    ['the longest life', () => assertion({ claims: { exp: now + 600 } })],
    ['a clock 50 s ahead', () => assertion({ now: now + 50 })],
    ['a clock 50 s behind', () => assertion({ now: now - 50, claims: { exp: now - 50 + 30 } })],
    ['a client_id that says the same', () => assertion(), { client_id: 'jwt' }],
    ['claims and headers nobody knows', () => assertion({ claims: { canary: {} }, header: { canary: 1 } })],
  ])('R116, R117: %s is let in', async (_, make, body) => {
    expect(await outcome(await present(setUp(), make(), body))).toBe('200')
  })

  const hmac = (header: object, key: string) => {
    const [, claims] = assertion().split('.')
    const input = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${claims}`
    return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
  }
  const publicPem = secondKey.publicJwk
  const mutations: [string, () => string, Record<string, string>?][] = [
    ['R116: an unknown client', () => assertion({ clientId: 'nobody' })],
    ['R116: a client without keys', () => assertion({ clientId: 'public' })],
    ['R116: another issuer', () => assertion({ claims: { iss: 'victim' } })],
    ['R116: another subject', () => assertion({ claims: { sub: 'victim' } })],
    ["R116: another client's name, with an own key", () => assertion({ clientId: 'victim' })],
    ['R116: no issuer', () => assertion({ claims: { iss: undefined } })],
    ['R116: no subject', () => assertion({ claims: { sub: undefined } })],
    ['R116: an issuer that is no string', () => assertion({ claims: { iss: 1, sub: 1 } })],
    ['R116: another client_id beside it', () => assertion(), { client_id: 'victim' }],
    ['R116: another assertion type', () => assertion(), { client_assertion_type: `${assertionType}x` }],
    [
      'R116: the type of SAML',
      () => assertion(),
      { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer' },
    ],
    ['R116: no assertion type', () => assertion(), { client_assertion_type: '' }],
    ['R116: no assertion', () => '', { client_id: 'jwt' }],
    ['R116: a key of somebody else', () => assertion({ key: strangerKey })],
    ['R116: an unknown kid', () => assertion({ header: { kid: 'x' } })],
    ["R116: another key's kid", () => assertion({ header: { kid: 'second-key' } })],
    ['R116: a kid that is no string', () => assertion({ header: { kid: 1 } })],
    [
      'R116: a key that it brings along',
      () => assertion({ key: strangerKey, header: { jwk: strangerKey.publicJwk, kid: undefined } }),
    ],
    [
      'R116: keys it would have us fetch',
      () =>
        assertion({
          key: strangerKey,
          header: { jku: 'https://evil.example/jwks', x5u: 'https://evil.example' },
        }),
    ],
    [
      'R116: a certificate that it brings along',
      () => assertion({ key: strangerKey, header: { x5c: ['AAAA'], kid: undefined } }),
    ],
    ['R116: alg none', () => `${hmac({ alg: 'none' }, 'x').split('.').slice(0, 2).join('.')}.`],
    ['R116: alg HS256 with the public key', () => hmac({ alg: 'HS256' }, JSON.stringify(publicPem))],
    ['R116: an algorithm that is not its key', () => assertion({ header: { alg: 'EdDSA' } })],
    ['R116: RS256 over a key of EC', () => assertion({ header: { alg: 'RS256' } })],
    ['R116: no algorithm', () => assertion({ header: { alg: undefined } })],
    ['R116: another algorithm than registered', () => assertion({ clientId: 'rs256-only' })],
    ['R116: no exp', () => assertion({ claims: { exp: undefined } })],
    ['R116: an exp that is text', () => assertion({ claims: { exp: `${now + 60}` } })],
    ['R116: an exp that has passed', () => assertion({ claims: { exp: now - 60 } })],
    ['R116: an exp too far away', () => assertion({ claims: { exp: now + 661, iat: undefined } })],
    ['R116: a life too long', () => assertion({ claims: { exp: now + 600, iat: now - 61 } })],
    ['R116: an nbf to come', () => assertion({ claims: { nbf: now + 61 } })],
    ['R116: an iat to come', () => assertion({ claims: { iat: now + 61 } })],
    ['R116: a crit nobody knows', () => assertion({ header: { crit: ['canary'], canary: 1 } })],
    ['R116: an unencoded payload', () => assertion({ header: { crit: ['b64'], b64: false } })],
    ['R116: claims that are a list', () => signJws(jwtKey.privateKey, { alg: 'ES256' }, ['jwt'])],
    ['R116: a changed claim', () => assertion().replace(/\.[^.]*\./, `.${assertion().split('.')[1]}.`)],
    ['R116: an endless assertion', () => assertion({ claims: { canary: 'x'.repeat(16_384) } })],
    ['R116: no JWT at all', () => 'canary'],
    ['R117: the token endpoint as audience', () => assertion({ audience: tokenEndpoint })],
    ['R117: the token endpoint in a list', () => assertion({ claims: { aud: [tokenEndpoint] } })],
    ['R117: the issuer and another', () => assertion({ claims: { aud: [issuer, 'https://other.example'] } })],
    [
      'R117: the issuer and the token endpoint',
      () => assertion({ claims: { aud: [issuer, tokenEndpoint] } }),
    ],
    ['R117: the issuer twice', () => assertion({ claims: { aud: [issuer, issuer] } })],
    ['R117: nobody as audience', () => assertion({ claims: { aud: [] } })],
    ['R117: no audience', () => assertion({ claims: { aud: undefined } })],
    ['R117: another server as audience', () => assertion({ audience: 'https://other.example' })],
    ['R117: the issuer with a slash', () => assertion({ audience: `${issuer}/` })],
    ['R117: the resource as audience', () => assertion({ audience: resource })],
    ['R118: no jti', () => assertion({ claims: { jti: undefined } })],
    ['R118: an empty jti', () => assertion({ claims: { jti: '' } })],
    ['R118: a jti that is no string', () => assertion({ claims: { jti: 1 } })],
    ...['at+jwt', 'oauth-id-jag+jwt', 'dpop+jwt', 'id_token', 'secevent+jwt', 'logout+jwt', ''].map(
      (typ): [string, () => string] => [`R119: the type ${typ}`, () => assertion({ header: { typ } })],
    ),
  ]
  it.each(mutations)('%s: 401, in the same words as a wrong secret', async (_, make, body) => {
    const fixture = setUp()
    const response = await present(fixture, make(), body)
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBeNull()
    const wrong = await fixture.post('/oauth/token', { client_id: 'nobody', client_secret: 'x' })
    expect(await response.text()).toBe(await wrong.text())
    expect(fixture.events.filter(({ type }) => type === 'token_issued')).toEqual([])
  })

  it.each(['RS256', 'PS256'])('R116: %s with an RSA key is let in', async alg => {
    const { SignJWT } = await import('jose')
    const value = await new SignJWT({ jti: alg })
      .setProtectedHeader({ alg, kid: 'rsa' })
      .setIssuer('jwt')
      .setSubject('jwt')
      .setAudience(issuer)
      .setExpirationTime(now + 60)
      .sign(rsa)
    expect(await outcome(await present(setUp(), value))).toBe('200')
  })

  it('R117: a client with the legacy switch may name the token endpoint, and nothing else of ours', async () => {
    const fixture = setUp()
    const legacy = (audience: unknown) => assertion({ clientId: 'legacy', claims: { aud: audience } })
    expect(await outcome(await present(fixture, legacy(tokenEndpoint)))).toBe('200')
    expect(await outcome(await present(fixture, legacy(issuer)))).toBe('200')
    for (const audience of [[issuer, tokenEndpoint], resource, `${issuer}/oauth/revoke`]) {
      expect(await outcome(await present(fixture, legacy(audience)))).toBe('401 invalid_client')
    }
  })

  it('R118: of 20 parallel uses of one assertion, one succeeds', async () => {
    const fixture = setUp()
    // Two servers on one store, as two processes would be.
    const second = setUp({ store: fixture.store })
    const value = assertion()
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => present(i % 2 ? fixture : second, value).then(outcome)),
    )
    expect(answers.filter(answer => answer === '200')).toHaveLength(1)
    expect(answers.filter(answer => answer === '401 invalid_client')).toHaveLength(19)
  })

  it('R118: another spelling of a used assertion is a used assertion', async () => {
    const fixture = setUp()
    const value = assertion()
    expect(await outcome(await present(fixture, value))).toBe('200')
    // The last character has four bits that no decoder looks at.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = alphabet.indexOf(value.at(-1)!)
    const other = value.slice(0, -1) + alphabet[last ^ 1]
    expect(Buffer.from(other.split('.')[2]!, 'base64url')).toEqual(
      Buffer.from(value.split('.')[2]!, 'base64url'),
    )
    expect(await outcome(await present(fixture, other))).toBe('401 invalid_client')
    // So is the same claim signed again.
    const { jti } = JSON.parse(Buffer.from(value.split('.')[1]!, 'base64url').toString()) as { jti: string }
    expect(await outcome(await present(fixture, assertion({ claims: { jti } })))).toBe('401 invalid_client')
  })

  it('R118: the jti of one client is nothing to another', async () => {
    const fixture = setUp()
    for (const clientId of ['jwt', 'legacy']) {
      const value = assertion({ clientId, claims: { jti: 'same' } })
      expect(await outcome(await present(fixture, value))).toBe('200')
    }
  })

  it('R118: a jti is remembered for as long as its assertion can be used, skew included', async () => {
    const fixture = setUp()
    const value = assertion({ claims: { exp: now + 300 } })
    expect(await outcome(await present(fixture, value))).toBe('200')
    for (const later of [299, 301, 359, 360, 361]) {
      fixture.time.now = now + later
      expect(await outcome(await present(fixture, value))).toBe('401 invalid_client')
    }
    // Not refused by time alone a second before the end.
    const another = setUp()
    another.time.now = now + 359
    expect(await outcome(await present(another, assertion({ claims: { exp: now + 300 } })))).toBe('200')
  })

  it.each<[string, Record<string, string>, string]>([
    ['a resource that is not its own', { resource: otherResource }, '400 invalid_target'],
    ['a scope it does not have', { scope: 'notes:write' }, '400 invalid_scope'],
    ['no grant_type', { grant_type: '' }, '400 invalid_request'],
    ['an unknown grant_type', { grant_type: 'password' }, '400 unsupported_grant_type'],
    [
      'a grant it is not registered for',
      { grant_type: 'refresh_token', refresh_token: 'x' },
      '400 unauthorized_client',
    ],
    ['an unknown code', { grant_type: 'authorization_code', code: 'x' }, '400 invalid_request'],
  ])('R91: a request that is refused for %s leaves the assertion usable', async (_, body, expected) => {
    const fixture = setUp()
    const value = assertion()
    expect(await outcome(await present(fixture, value, body))).toBe(expected)
    expect(await outcome(await present(fixture, value))).toBe('200')
  })

  const good: Record<string, (fixture: Fixture, client: TestClient) => Promise<Record<string, string>>> = {
    authorization_code: async (fixture, client) => ({
      grant_type: 'authorization_code',
      code: (await fixture.placeCode(client)).code,
      code_verifier: 'v-canary-verifier-0123456789-0123456789-0123456789',
    }),
    refresh_token: async (fixture, client) => ({
      grant_type: 'refresh_token',
      refresh_token: (await fixture.session(client)).refresh,
    }),
  }
  it.each(Object.entries(good))(
    'R91: a used assertion leaves the credential of %s unharmed',
    async (_, credential) => {
      const fixture = createFixture()
      const body = await credential(fixture, jwtClient)
      const used = signAssertion({ clientId: 'jwt', key: jwtKey, audience: issuer, now })
      const revoke = { client_assertion_type: assertionType, client_assertion: used, token: 'x' }
      expect((await fixture.post('/oauth/revoke', revoke)).status).toBe(200)
      expect(await outcome(await present(fixture, used, body))).toBe('401 invalid_client')
      const fresh = signAssertion({ clientId: 'jwt', key: jwtKey, audience: issuer, now })
      expect(await outcome(await present(fixture, fresh, body))).toBe('200')
    },
  )

  it('R118: an assertion that revoked a token revokes no second one', async () => {
    const fixture = createFixture()
    const [first, second] = [await fixture.session(jwtClient), await fixture.session(jwtClient)]
    const { body } = jwtClient
    const once: TestClient = { ...jwtClient, body }
    expect((await fixture.revoke(once, first.access)).status).toBe(200)
    expect(await outcome(await fixture.revoke(once, second.access))).toBe('401 invalid_client')
    expect(await fixture.isLive(second.access)).toBe(true)
  })

  it('R92: when the store cannot remember a jti, nothing is issued: 503', async () => {
    const fixture = setUp({}, store => ({
      ...store,
      claimSingleUse: () => Promise.reject(new StoreUnavailableError('down')),
    }))
    expect(await outcome(await present(fixture, assertion()))).toBe('503 temporarily_unavailable')
    expect(fixture.events.filter(({ type }) => type === 'token_issued')).toEqual([])
  })

  it('R112: neither the store nor an event holds an assertion', async () => {
    const store = createMemoryStore()
    const written: unknown[] = []
    const fixture = setUp({ store }, inner => ({
      ...inner,
      claimSingleUse: step => {
        written.push(step)
        return inner.claimSingleUse(step)
      },
    }))
    const value = assertion({ claims: { jti: 'canary-jti' } })
    await present(fixture, value)
    await present(fixture, value)
    expect(written).toHaveLength(2)
    expect(JSON.stringify([written, fixture.events])).not.toMatch(/canary-jti|eyJ/)
  })
})

describe('R34: metadata documents with keys', () => {
  const url = 'https://client.example/client.json'
  const resolver = (metadata: Partial<ClientMetadata>) =>
    createClientResolver({
      configured: [],
      secrets: createSecretRing(['canary-ring-secret-0123456789-0123456789']),
      store: { isClientDeleted: async () => false },
      clock: () => now,
      documents: {
        isDocumentUrl: clientId => clientId === url,
        findMetadata: async () => ({
          redirect_uris: [redirectUri],
          grant_types: ['authorization_code'],
          response_types: ['code'],
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [jwtKey.publicJwk] },
          ...metadata,
        }),
      },
      dynamicRegistration: true,
      schemes: [],
    })
  const authenticate = (metadata: Partial<ClientMetadata>, body: Record<string, string>) => {
    const assertions = createClientAssertions({
      issuer,
      tokenEndpoint,
      store: createMemoryStore(),
      keys: async source => {
        const { importJWK } = await import('jose')
        return 'jwks' in source ? Promise.all(source.jwks.map(key => importJWK(key, 'ES256'))) : []
      },
      clock: () => now,
      random: systemRandom,
    })
    const request = new Request(tokenEndpoint, { method: 'POST' })
    const emit = () => {}
    const limits = createLimits({
      factor: 0,
      store: {},
      secrets: createSecretRing(['canary-ring-secret-0123456789-0123456789']),
      emit,
    })
    const context = { clients: resolver(metadata), assertions, limits, emit }
    return authenticateClient(context, request, single(new URLSearchParams(body)))
  }
  const attempt = (...request: Parameters<typeof authenticate>) =>
    authenticate(...request).then(
      ({ client }) => client.clientId,
      (error: unknown) => (error instanceof OAuthError ? error.code : error),
    )
  const proof = (key = jwtKey) => ({
    client_assertion_type: assertionType,
    client_assertion: signAssertion({ clientId: url, key, audience: issuer, now }),
  })

  it('a client whose document asks for a key is not let in without it', async () => {
    expect(await attempt({}, proof())).toBe(url)
    expect(await attempt({}, { client_id: url })).toBe('invalid_client')
    expect(await attempt({}, { client_id: url, client_secret: 'x' })).toBe('invalid_client')
    expect(await attempt({}, proof(strangerKey))).toBe('invalid_client')
    expect(await attempt({ token_endpoint_auth_signing_alg: 'EdDSA' }, proof())).toBe('invalid_client')
  })

  it('a client whose document offers none too is let in either way, and a bad assertion is not none', async () => {
    const both = { token_endpoint_auth_method: 'none' } as const
    expect(await attempt(both, proof())).toBe(url)
    expect(await attempt(both, { client_id: url })).toBe(url)
    expect(await attempt(both, { ...proof(strangerKey), client_id: url })).toBe('invalid_client')
    expect(await attempt({ ...both, jwks: undefined }, proof())).toBe('invalid_client')
  })

  it('R127: of a client that may come either way, what follows knows which way it came', async () => {
    const both = { token_endpoint_auth_method: 'none' } as const
    const methodOf = async (body: Record<string, string>) =>
      (await authenticate(both, body)).client.tokenEndpointAuthMethod
    expect(await methodOf(proof())).toBe('private_key_jwt')
    expect(await methodOf({ client_id: url })).toBe('none')
  })
})

describe('registered clients with keys', () => {
  const register = async (fixture: Fixture, body: object) => {
    const response = await fixture.server.handle(
      new Request(`${issuer}/oauth/register`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({
          redirect_uris: [redirectUri],
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [jwtKey.publicJwk] },
          ...body,
        }),
      }),
    )
    return (await response!.json()) as Record<string, string>
  }

  it('R19, R85: a registration with a key is answered as registered, without a secret, and bound to it', async () => {
    const fixture = createFixture()
    const registered = await register(fixture, { token_endpoint_auth_signing_alg: 'ES256' })
    expect(registered).toMatchObject({
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: { keys: [jwtKey.publicJwk] },
    })
    expect(registered).not.toHaveProperty('client_secret')
    const client = keyClient(registered.client_id!, jwtKey)
    const { refresh } = await fixture.session(client)
    const id = { client_id: client.clientId }
    expect(await outcome(await fixture.refresh({ ...client, body: id }, refresh))).toBe('401 invalid_client')
    const stranger = keyClient(client.clientId, strangerKey)
    expect(await outcome(await fixture.refresh(stranger, refresh))).toBe('401 invalid_client')
    expect(await outcome(await fixture.refresh(client, refresh))).toBe('200')
  })

  it('a registration without that method is bound to no key', async () => {
    const fixture = createFixture()
    const registered = await register(fixture, { token_endpoint_auth_method: 'none' })
    const client = keyClient(registered.client_id!, jwtKey)
    const { code } = await fixture.placeCode(client)
    expect(await outcome(await fixture.redeem(client, code))).toBe('401 invalid_client')
    expect(
      await outcome(
        await fixture.redeem({ ...publicClient, ...client, body: { client_id: client.clientId } }, code),
      ),
    ).toBe('200')
  })
})

describe('configured clients with keys', () => {
  const base = { clientId: 'x', redirectUris: [redirectUri] }
  const jwks = { keys: [jwtKey.publicJwk] }
  it.each<[string, ConfiguredClient, RegExp]>([
    ['a secret and keys', { ...base, clientSecret: 'canary-secret-0123456789', jwks }, /remove one/],
    ['keys and a place for them', { ...base, jwks, jwksUri: 'https://client.example/jwks' }, /remove one/],
    ['the method and no keys', { ...base, tokenEndpointAuthMethod: 'private_key_jwt' }, /needs jwks/],
    ['keys and another method', { ...base, jwks, tokenEndpointAuthMethod: 'none' }, /needs jwks/],
    ['no key among its keys', { ...base, jwks: { keys: [] } }, /public keys only/],
    [
      'R18: a private key',
      { ...base, jwks: { keys: [jwtKey.privateKey.export({ format: 'jwk' })] } },
      /public keys/,
    ],
    ['R18: a symmetric key', { ...base, jwks: { keys: [{ kty: 'oct', k: 'canary' }] } }, /public keys/],
    ['keys over http', { ...base, jwksUri: 'http://client.example/jwks' }, /https/],
    ['keys on another port', { ...base, jwksUri: 'https://client.example:8443/jwks' }, /without port/],
  ])('%s stops the server at start', (_, client, words) => {
    const start = () => createFixture({ clients: [client] })
    expect(start).toThrow(ConfigurationError)
    expect(start).toThrow(words)
    expect(start).not.toThrow(/canary/)
  })
})
