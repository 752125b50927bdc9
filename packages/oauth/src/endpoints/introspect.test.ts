import { describe, expect, it } from 'vitest'
import {
  basicClient,
  configuredClients,
  createFixture,
  type Fixture,
  issuer,
  jwtClient,
  otherResource,
  outcome,
  postClient,
  publicClient,
  redirectUri,
  resource,
  ringSecret,
} from '../authorization-server.fixture.ts'
import { assertionType } from '../clients/client-assertion.fixture.ts'
import type { ConfiguredResourceServer } from '../clients/resource-servers.ts'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import { createSealer } from '../keys/sealer.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { createSigningKeys } from '../keys/signing-keys.ts'
import { sha256 } from '../protocol/hash.ts'
import { systemRandom } from '../runtime.ts'
import type { Store } from '../storage/store.ts'

const secret = 'canary-notes-api-secret-0123456789'
const otherSecret = 'canary-other-api-secret-0123456789'
const resourceServers: readonly ConfiguredResourceServer[] = [
  { id: 'notes-api', secret, resources: [resource] },
  { id: 'other-api', secret: otherSecret, resources: [otherResource] },
  { id: 'gateway', secret: 'canary-gateway-secret-0123456789', resources: [otherResource, resource] },
]
const setUp = (options = {}, wrapStore?: (store: Store) => Store) =>
  createFixture({ resourceServers, ...options }, wrapStore)

const basic = (id: string, password: string) => ({
  Authorization: `Basic ${Buffer.from(`${id}:${password}`).toString('base64')}`,
})
const introspect = (
  fixture: Fixture,
  token: string,
  headers: Record<string, string> = basic('notes-api', secret),
  body: Record<string, string> = {},
) => fixture.post('/oauth/introspect', { token, ...body }, headers)

const inactive = '{"active":false}'
const bodyOf = async (response: Response | Promise<Response>) => (await response).text()

describe('introspect', () => {
  it('R144: an active token: who, through which client, for what, until when', async () => {
    const fixture = setUp()
    const { access, grantId } = await fixture.session(publicClient)
    const response = await introspect(fixture, access)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({
      active: true,
      token_type: 'Bearer',
      iss: issuer,
      sub: 'user-1',
      aud: resource,
      client_id: 'public',
      scope: 'notes:read notes:write',
      iat: fixture.time.now,
      exp: fixture.time.now + 900,
      jti: expect.any(String),
      sid: grantId,
      auth_time: fixture.time.now,
    })
  })

  it('a resource server may use the body for its secret, and stand for several resources', async () => {
    const fixture = setUp()
    const { access } = await fixture.session(basicClient)
    const response = await introspect(fixture, access, {}, { client_id: 'notes-api', client_secret: secret })
    expect(await response.json()).toMatchObject({ active: true })
    const gateway = await introspect(fixture, access, basic('gateway', 'canary-gateway-secret-0123456789'))
    expect(await gateway.json()).toMatchObject({ active: true })
  })

  it.each<[string, Record<string, string>, Record<string, string>]>([
    ['nobody', {}, {}],
    ['a resource server without its secret', {}, { client_id: 'notes-api' }],
    ['an empty secret', basic('notes-api', ''), {}],
    ['a wrong secret', basic('notes-api', 'canary-wrong-0123456789'), {}],
    ['the secret of another', basic('notes-api', otherSecret), {}],
    ['an unknown resource server', basic('nobody', secret), {}],
    ['a wrong secret in the body', {}, { client_id: 'notes-api', client_secret: 'canary-wrong' }],
    ['malformed Basic credentials', { Authorization: 'Basic !' }, {}],
    ['a confidential client', basicClient.headers, {}],
    ['a confidential client, post', {}, postClient.body],
    ['a public client', {}, publicClient.body],
    ['a client with a key', {}, { client_assertion_type: assertionType, client_assertion: 'x.y.z' }],
  ])('R143: %s learns nothing', async (_, headers, body) => {
    const fixture = setUp()
    const { access } = await fixture.session(publicClient)
    const response = await introspect(fixture, access, headers, body)
    expect(await outcome(response)).toBe('401 invalid_client')
    if (headers.Authorization) expect(response.headers.get('www-authenticate')).toMatch(/^Basic /)
  })

  it('R143: neither an access token nor a client assertion opens the endpoint', async () => {
    const fixture = setUp()
    const { access } = await fixture.session(publicClient)
    const bearer = await introspect(fixture, access, { Authorization: `Bearer ${access}` })
    expect(await outcome(bearer)).toBe('401 invalid_client')
    expect(await outcome(await introspect(fixture, access, {}, jwtClient.body))).toBe('401 invalid_client')
  })

  it('R84: two ways of authentication are one too many', async () => {
    const fixture = setUp()
    const response = await introspect(fixture, 'x', basic('notes-api', secret), { client_secret: secret })
    expect(await outcome(response)).toBe('400 invalid_request')
  })

  it('R87: a failure is told by a hash, and holds no secret', async () => {
    const fixture = setUp()
    await introspect(fixture, 'x', basic('notes-api', 'canary-wrong-0123456789'))
    expect(fixture.events).toEqual([
      { type: 'client_authentication_failed', clientIdHash: sha256('notes-api') },
    ])
  })

  const forged = async (fixture: Fixture, grantId: string, claims: object, typ = 'at+jwt') => {
    const sealer = createSealer(createSecretRing([ringSecret]), systemRandom)
    const clock = () => fixture.time.now
    const keys = createSigningKeys({ store: fixture.store, sealer, algorithm: 'ES256', clock })
    const { signJwt } = await keys.active()
    const good = {
      iss: issuer,
      sub: 'user-1',
      aud: resource,
      client_id: 'public',
      scope: 'notes:read',
      iat: clock(),
      exp: clock() + 900,
      jti: 'forged',
      sid: grantId,
    }
    return signJwt({ ...good, ...claims }, { typ })
  }
  type Session = Awaited<ReturnType<Fixture['session']>>
  it.each<[string, (session: Session, fixture: Fixture) => Promise<string> | string]>([
    ['what is no token', () => 'canary'],
    [
      'an unknown token',
      ({ access }) => access.replace(/^[^.]*/, 'eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9'),
    ],
    ['a token without its signature', ({ access }) => access.slice(0, access.lastIndexOf('.') + 1)],
    ['a token of another signature', ({ access }) => `${access.slice(0, -8)}AAAAAAAA`],
    ['an endless token', ({ access }) => access + 'x'.repeat(9000)],
    ['R147: a refresh token', ({ refresh }) => refresh],
    ['an authorization code', async (_, fixture) => (await fixture.placeCode(publicClient)).code],
    [
      'an expired token',
      ({ access }, fixture) => {
        fixture.time.now += 900
        return access
      },
    ],
    [
      'a revoked token',
      async ({ access, grantId }, fixture) => {
        await fixture.server.admin.revokeGrant(grantId)
        return access
      },
    ],
    [
      'a token of a user who was disabled',
      async ({ access }, fixture) => {
        const { now } = fixture.time
        await fixture.store.putDisabledUser({ userId: 'user-1', expiresAt: now + 1000, now })
        return access
      },
    ],
    [
      'a token of a deleted client',
      async ({ access }, fixture) => {
        const clientIdHash = sha256('public')
        const { now } = fixture.time
        await fixture.store.putClientTombstone({ clientIdHash, expiresAt: now + 1000, now })
        return access
      },
    ],
    [
      'a token for another resource server',
      async (_, fixture) => (await fixture.session(publicClient, { resource: otherResource })).access,
    ],
    [
      'a token of another issuer on the same store',
      async (_, { store }) =>
        (await createFixture({ issuer: 'https://other.example.com', store }).session(publicClient)).access,
    ],
    ['R119: a token of another type', ({ grantId }, fixture) => forged(fixture, grantId, {}, 'JWT')],
    [
      'a token that is not valid yet',
      ({ grantId }, fixture) => forged(fixture, grantId, { nbf: fixture.time.now + 60 }),
    ],
    [
      'a token for two resources',
      ({ grantId }, fixture) => forged(fixture, grantId, { aud: [resource, otherResource] }),
    ],
    ['a token of a family that is not there', (_, fixture) => forged(fixture, 'nothing', {})],
    [
      "a token of another client's family",
      ({ grantId }, fixture) => forged(fixture, grantId, { client_id: 'other' }),
    ],
    [
      "a token of another user's family",
      ({ grantId }, fixture) => forged(fixture, grantId, { sub: 'user-2' }),
    ],
  ])('R144: %s is inactive, byte for byte like all others', async (_, tokenOf) => {
    const fixture = setUp()
    const session = await fixture.session(publicClient)
    const response = await introspect(fixture, await tokenOf(session, fixture))
    expect(response.status).toBe(200)
    expect(await response.text()).toBe(inactive)
    expect(response.headers.get('content-type')).toBe('application/json')
  })

  it('R144: what the tests above forge would be active if it were right', async () => {
    const fixture = setUp()
    const { grantId } = await fixture.session(publicClient)
    const response = await introspect(fixture, await forged(fixture, grantId, {}))
    expect(await response.json()).toMatchObject({ active: true, jti: 'forged' })
  })

  it('R145: a revocation by another process counts with the next question', async () => {
    const fixture = setUp()
    const { access, grantId } = await fixture.session(publicClient)
    expect(await bodyOf(introspect(fixture, access))).not.toBe(inactive)
    const { now } = fixture.time
    await fixture.store.revokeGrant({ id: grantId, reason: 'user', operationId: 'elsewhere', now })
    expect(await bodyOf(introspect(fixture, access))).toBe(inactive)
  })

  it('R145: a session that is over has no active token, whatever the token says', async () => {
    const fixture = setUp()
    const { grantId } = await fixture.session(publicClient, { endsAt: fixture.time.now + 100 })
    const access = await forged(fixture, grantId, { exp: fixture.time.now + 900 })
    expect(await bodyOf(introspect(fixture, access))).not.toBe(inactive)
    fixture.time.now += 100
    expect(await bodyOf(introspect(fixture, access))).toBe(inactive)
  })

  it('R145: a client that was taken out of the configuration has no active tokens', async () => {
    const fixture = setUp()
    const { access } = await fixture.session(publicClient)
    const later = setUp({
      store: fixture.store,
      clients: configuredClients.filter(({ clientId }) => clientId !== 'public'),
    })
    expect(await bodyOf(introspect(later, access))).toBe(inactive)
  })

  it('R145: a token of a metadata document needs no look at the document', async () => {
    const fixture = setUp()
    const clientId = 'https://nowhere.invalid/client.json'
    const { grantId } = await fixture.session(publicClient, { clientId: 'public' })
    const family = await fixture.placeCode({ ...publicClient, clientId })
    expect(grantId).not.toBe(family.grantId)
    const access = await forged(fixture, family.grantId, { client_id: clientId })
    expect(await bodyOf(introspect(fixture, access))).not.toBe(inactive)
    const off = setUp({ store: fixture.store, clientIdMetadataDocuments: false })
    expect(await bodyOf(introspect(off, access))).toBe(inactive)
  })

  it('R146: only POST, with a form, and no answer is stored', async () => {
    const fixture = setUp()
    const { access } = await fixture.session(publicClient)
    const url = `${issuer}/oauth/introspect?token=${access}`
    const get = await fixture.server.handle(new Request(url, { headers: basic('notes-api', secret) }))
    expect(get?.status).toBe(405)
    expect(get?.headers.get('allow')).toBe('POST')
    const missing = await fixture.post(`/oauth/introspect?token=${access}`, {}, basic('notes-api', secret))
    expect(await outcome(missing)).toBe('400 invalid_request')
    const answers = [
      await introspect(fixture, access),
      await introspect(fixture, 'x'),
      await introspect(fixture, access, {}),
    ]
    for (const answer of answers) expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(JSON.stringify(fixture.events)).not.toContain(access)
  })

  it('R94: pages of other origins cannot read the answer', async () => {
    const fixture = setUp()
    const headers = { ...basic('notes-api', secret), Origin: 'https://evil.example' }
    const response = await introspect(fixture, 'x', headers)
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
  })

  it.each(['findGrant', 'isClientDeleted', 'isUserDisabled'] as const)(
    'R92: when the store cannot answer %s, nothing is said of the token: 503',
    async step => {
      let isDown = false
      const fixture = setUp({}, store => ({
        ...store,
        [step]: (argument: never) =>
          isDown ? Promise.reject(new StoreUnavailableError('down')) : store[step](argument),
      }))
      const { access } = await fixture.session(publicClient)
      isDown = true
      const response = await introspect(fixture, access)
      expect(await outcome(response)).toBe('503 temporarily_unavailable')
      expect(response.headers.get('retry-after')).toBe('1')
    },
  )

  it('R5: without resource servers there is no endpoint', async () => {
    for (const none of [undefined, []]) {
      const { server } = createFixture(none && { resourceServers: none })
      const request = new Request(`${issuer}/oauth/introspect`, { method: 'POST' })
      expect(await server.handle(request)).toBeUndefined()
    }
  })
})

describe('resourceServers', () => {
  const good = resourceServers[0]!
  it.each<[string, readonly ConfiguredResourceServer[], RegExp]>([
    ['an id that is not ASCII', [{ ...good, id: 'é' }], /printable ASCII/],
    ['an empty id', [{ ...good, id: '' }], /printable ASCII/],
    ['the same id twice', [good, good], /twice/],
    ['a short secret', [{ ...good, secret: 'short' }], /at least 16/],
    ['no resources', [{ ...good, resources: [] }], /no resources/],
    ['a resource nobody has tokens for', [{ ...good, resources: ['https://x.example'] }], /not one of/],
  ])('%s stops the server at start, and tells no secret', (_, servers, words) => {
    const start = () => createFixture({ resourceServers: servers })
    expect(start).toThrow(ConfigurationError)
    expect(start).toThrow(words)
    expect(start).not.toThrow(/canary|short"/)
  })

  it('a resource may be written as clients write it', async () => {
    const fixture = createFixture({
      resources: ['https://notes.example'],
      clients: [{ clientId: 'public', redirectUris: [redirectUri] }],
      resourceServers: [{ ...good, resources: ['https://NOTES.example/'] }],
    })
    const { access } = await fixture.session(publicClient, { resource: 'https://notes.example' })
    expect(await bodyOf(introspect(fixture, access))).toContain('"aud":"https://notes.example"')
  })
})
