import { describe, expect, it } from 'vitest'
import {
  createFixture,
  type Fixture,
  issuer,
  jwtKey,
  keyClient,
  otherResource,
  outcome,
  publicClient,
  redirectUri,
  resource,
  type TestClient,
} from '../authorization-server.fixture.ts'
import type { ConfiguredClient } from '../clients/client.ts'
import { createTestKey } from '../clients/client-assertion.fixture.ts'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import { sha256 } from '../protocol/hash.ts'

const secret = 'canary-machine-secret-0123456789'
const key = createTestKey('machine-key')
const provisioned = { grantTypes: ['client_credentials'], scopes: ['notes:read', 'notes:write'] }
const clients: readonly ConfiguredClient[] = [
  { clientId: 'machine-basic', clientSecret: secret, ...provisioned },
  {
    clientId: 'machine-post',
    clientSecret: secret,
    tokenEndpointAuthMethod: 'client_secret_post',
    ...provisioned,
  },
  { clientId: 'machine-jwt', jwks: { keys: [key.publicJwk] }, ...provisioned },
  { clientId: 'reader', clientSecret: secret, ...provisioned, scopes: ['notes:read', 'gone'] },
  {
    clientId: 'elsewhere',
    clientSecret: secret,
    ...provisioned,
    resources: [otherResource, 'https://gone.example'],
  },
  { clientId: 'user-1', clientSecret: secret, ...provisioned },
  { clientId: 'both', clientSecret: secret, ...provisioned, scopes: ['notes:read', 'openid'] },
  { clientId: 'no-machine', clientSecret: secret, redirectUris: [redirectUri], scopes: ['notes:read'] },
  { clientId: 'public', redirectUris: [redirectUri] },
]
const byBasic = (clientId: string): TestClient => ({
  name: 'client_secret_basic',
  clientId,
  headers: { Authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}` },
  body: {},
})
const machineBasic = byBasic('machine-basic')
const machines: readonly TestClient[] = [
  machineBasic,
  {
    name: 'client_secret_post',
    clientId: 'machine-post',
    headers: {},
    body: { client_id: 'machine-post', client_secret: secret },
  },
  keyClient('machine-jwt', key),
]
const each = machines.map(client => [client.name, client] as const)

const setUp = (...options: Parameters<typeof createFixture>) =>
  createFixture({ clients, ...options[0] }, options[1])
const ask = (fixture: Fixture, client: TestClient, change: Record<string, string> = {}) =>
  fixture.post(
    '/oauth/token',
    { grant_type: 'client_credentials', ...client.body, ...change },
    client.headers,
  )
const tokenOf = async (response: Response) => (await response.json()) as Record<string, string>

describe('client_credentials', () => {
  it.each(each)(
    'R93, R111: %s: a Bearer token, its life and its scope, and no refresh token',
    async (_, client) => {
      const fixture = setUp()
      const response = await ask(fixture, client)
      expect(response.status).toBe(200)
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(await response.json()).toEqual({
        access_token: expect.any(String),
        token_type: 'Bearer',
        expires_in: 900,
        scope: 'notes:read notes:write',
      })
    },
  )

  it.each(each)('R115: %s: the token speaks for the client, and for no user', async (_, client) => {
    const fixture = setUp()
    const { access_token: access } = await tokenOf(await ask(fixture, client))
    const verified = await fixture.server.verifyAccessToken(access!, resource)
    expect(verified).toMatchObject({
      principal: 'client',
      userId: undefined,
      clientId: client.clientId,
      authTime: undefined,
    })
    const claims = JSON.parse(Buffer.from(access!.split('.')[1]!, 'base64url').toString())
    expect(claims).toMatchObject({ iss: issuer, sub: `client:${client.clientId}`, aud: resource })
    expect(claims).not.toHaveProperty('auth_time')
    expect(claims).not.toHaveProperty('amr')
  })

  it('R115: a client that is called like a user has nothing of the user', async () => {
    const fixture = setUp()
    const session = await fixture.session(publicClient)
    const { access_token: access } = await tokenOf(await ask(fixture, byBasic('user-1')))
    expect(await fixture.server.verifyAccessToken(access!, resource)).toMatchObject({ userId: undefined })
    expect(await fixture.server.verifyAccessToken(session.access, resource)).toMatchObject({
      principal: 'user',
      userId: 'user-1',
    })
    expect((await fixture.server.admin.listGrants('user-1')).map(({ grantId }) => grantId)).toEqual([
      session.grantId,
    ])
    expect(await fixture.server.admin.listGrants('client:user-1')).toHaveLength(1)
  })

  it('R115: a client that may ask for openid for its users gets no openid, id_token or userinfo for itself', async () => {
    const fixture = setUp()
    expect(await outcome(await ask(fixture, byBasic('both'), { scope: 'openid' }))).toBe('400 invalid_scope')
    const { access_token: access, ...rest } = await tokenOf(await ask(fixture, byBasic('both')))
    expect(rest).toEqual({ token_type: 'Bearer', expires_in: 900, scope: 'notes:read' })
    const told = await fixture.post('/oauth/userinfo', {}, { Authorization: `Bearer ${access}` })
    expect(told.status).toBe(403)
  })

  it.each(each)(
    'R139: %s: the token can be revoked by its client, by an administrator, with the client',
    async (_, client) => {
      const fixture = setUp()
      const take = async () => (await tokenOf(await ask(fixture, client))).access_token!
      const [first, second, third] = [await take(), await take(), await take()]
      expect((await fixture.revoke(client, first)).status).toBe(200)
      expect([await fixture.isLive(first), await fixture.isLive(second)]).toEqual([false, true])
      const { grantId } = await fixture.server.verifyAccessToken(second, resource)
      await fixture.server.admin.revokeGrant(grantId)
      expect([await fixture.isLive(second), await fixture.isLive(third)]).toEqual([false, true])
      await fixture.server.admin.revokeClient(client.clientId)
      expect(await fixture.isLive(third)).toBe(false)
      expect(await outcome(await ask(fixture, client))).toBe('401 invalid_client')
    },
  )

  it('R21: a client that is deleted while it asks gets nothing, and nothing of it lives on', async () => {
    const deleter: { delete?: () => Promise<number> } = {}
    const fixture = setUp({}, store => ({
      ...store,
      async putGrant(step) {
        await deleter.delete?.()
        await store.putGrant(step)
      },
    }))
    deleter.delete = () => fixture.server.admin.revokeClient('machine-basic')
    expect(await outcome(await ask(fixture, machineBasic))).toBe('400 unauthorized_client')
    expect(await fixture.server.admin.listGrants('client:machine-basic')).toEqual([])
  })

  it('R137: another client does not revoke it', async () => {
    const fixture = setUp()
    const { access_token: access } = await tokenOf(await ask(fixture, machineBasic))
    expect((await fixture.revoke(byBasic('reader'), access!)).status).toBe(200)
    expect(await fixture.isLive(access!)).toBe(true)
  })

  it('the shortest lifetime wins, of the client or of a scope', async () => {
    const short = clients.map(client => ({ ...client, lifetimes: { accessTokenSeconds: 300 } }))
    const fixture = setUp({ clients: short, scopeLifetimes: { 'notes:write': { accessTokenSeconds: 60 } } })
    expect(await tokenOf(await ask(fixture, machineBasic))).toMatchObject({ expires_in: 60 })
    expect(await tokenOf(await ask(fixture, byBasic('reader')))).toMatchObject({ expires_in: 300 })
  })

  it('R170: the record of a token ends with the token', async () => {
    const fixture = setUp()
    const { access_token: access } = await tokenOf(await ask(fixture, machineBasic))
    const { grantId } = await fixture.server.verifyAccessToken(access!, resource)
    const find = () => fixture.store.findGrant({ id: grantId, now: fixture.time.now })
    expect(await find()).toMatchObject({ code: { redeemedAt: fixture.time.now } })
    fixture.time.now += 900
    expect(await find()).toBeUndefined()
  })

  it('R164: what happened is told without a secret', async () => {
    const fixture = setUp()
    await ask(fixture, machineBasic)
    expect(fixture.events.filter(({ type }) => type === 'token_issued')).toEqual([
      {
        type: 'token_issued',
        grantId: expect.any(String),
        userId: 'client:machine-basic',
        clientIdHash: sha256('machine-basic'),
      },
    ])
    expect(JSON.stringify(fixture.events)).not.toContain('canary')
  })

  it.each<[string, TestClient, Record<string, string>, string]>([
    ['R114: a scope it was not given', byBasic('reader'), { scope: 'notes:write' }, '400 invalid_scope'],
    [
      'R114: one of two it was not given',
      byBasic('reader'),
      { scope: 'notes:read notes:write' },
      '400 invalid_scope',
    ],
    ['R114: a scope the server has no more', byBasic('reader'), { scope: 'gone' }, '400 invalid_scope'],
    ['R114: a scope nobody has', machineBasic, { scope: 'admin' }, '400 invalid_scope'],
    ['R55: a malformed scope', machineBasic, { scope: 'notes:read  notes:write' }, '400 invalid_scope'],
    ['R114: a resource it was not given', machineBasic, { resource: otherResource }, '400 invalid_target'],
    ['R114: the default resource, not given', byBasic('elsewhere'), { resource }, '400 invalid_target'],
    [
      'R114: a resource the server has no more',
      byBasic('elsewhere'),
      { resource: 'https://gone.example' },
      '400 invalid_target',
    ],
    ['R54: an unknown resource', machineBasic, { resource: 'https://evil.example' }, '400 invalid_target'],
    ['R113: a client without the grant', byBasic('no-machine'), {}, '400 unauthorized_client'],
    ['R113: a public client', publicClient, {}, '400 unauthorized_client'],
    [
      'R85: a machine without its secret',
      { ...machineBasic, headers: {}, body: { client_id: 'machine-basic' } },
      {},
      '401 invalid_client',
    ],
    [
      'R84: a machine by the wrong method',
      { ...machineBasic, headers: {}, body: { client_id: 'machine-basic', client_secret: secret } },
      {},
      '401 invalid_client',
    ],
    ['R84: two methods', machineBasic, { client_secret: secret }, '400 invalid_request'],
  ])('%s: refused', async (_, client, change, expected) => {
    const fixture = setUp()
    expect(await outcome(await ask(fixture, client, change))).toBe(expected)
    expect(fixture.events.filter(({ type }) => type === 'token_issued')).toEqual([])
  })

  it('R114: less than it was given is what it gets when it asks for less', async () => {
    const fixture = setUp()
    const answer = await tokenOf(await ask(fixture, machineBasic, { scope: 'notes:read', resource }))
    expect(answer.scope).toBe('notes:read')
    expect(await tokenOf(await ask(fixture, byBasic('reader')))).toMatchObject({ scope: 'notes:read' })
    const { access_token: access } = await tokenOf(await ask(fixture, byBasic('elsewhere')))
    expect(await fixture.server.verifyAccessToken(access!, otherResource)).toMatchObject({
      resource: otherResource,
    })
  })

  it('R113: clients that registered themselves do not get it, whatever they ask for', async () => {
    const fixture = setUp()
    const register = (body: object) =>
      fixture.server.handle(
        new Request(`${issuer}/oauth/register`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ redirect_uris: [redirectUri], ...body }),
        }),
      )
    const response = await register({
      grant_types: ['authorization_code', 'client_credentials'],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [jwtKey.publicJwk] },
    })
    const registered = (await response!.json()) as { client_id: string; grant_types: string[] }
    expect(registered.grant_types).toEqual(['authorization_code'])
    const refused = await ask(fixture, keyClient(registered.client_id, jwtKey))
    expect(await outcome(refused)).toBe('400 unauthorized_client')
  })

  it('R5: where no client has it, the grant does not exist', async () => {
    const fixture = createFixture()
    expect(await outcome(await ask(fixture, publicClient))).toBe('400 unsupported_grant_type')
  })

  it.each(['putGrant', 'listSigningKeys'] as const)(
    'R92: when the store cannot answer %s, no token is handed out: 503',
    async step => {
      const fixture = setUp({}, store => ({
        ...store,
        [step]: () => Promise.reject(new StoreUnavailableError('down')),
      }))
      const response = await ask(fixture, machineBasic)
      expect(await outcome(response)).toBe('503 temporarily_unavailable')
      expect(response.headers.get('retry-after')).toBe('1')
    },
  )

  it.each<[string, ConfiguredClient, RegExp]>([
    ['R113: without a secret or key', { clientId: 'x', ...provisioned }, /secret or keys/],
    [
      'R114: without scopes',
      { clientId: 'x', clientSecret: secret, grantTypes: ['client_credentials'] },
      /needs scopes/,
    ],
    [
      'with users too, but nowhere to send them',
      {
        clientId: 'x',
        clientSecret: secret,
        ...provisioned,
        grantTypes: ['client_credentials', 'authorization_code'],
      },
      /redirectUris/,
    ],
    [
      'with an unknown grant',
      { clientId: 'x', clientSecret: secret, grantTypes: ['password'] },
      /grantTypes/,
    ],
  ])('a machine %s stops the server at start', (_, client, words) => {
    const start = () => createFixture({ clients: [client] })
    expect(start).toThrow(ConfigurationError)
    expect(start).toThrow(words)
    expect(start).not.toThrow(/canary/)
  })
})
