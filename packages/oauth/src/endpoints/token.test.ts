import { describe, expect, it } from 'vitest'
import {
  basicClient,
  clientTypes,
  createFixture,
  type Fixture,
  otherClient,
  otherResource,
  outcome,
  postClient,
  publicClient,
  redirectUri,
  resource,
  type TestClient,
  verifier,
} from '../authorization-server.fixture.ts'
import type { Client } from '../clients/client.ts'
import type { Context } from '../context.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { Store } from '../storage/store.ts'
import { token } from './token.ts'

/** The two grants behind one shape: a credential, and how its owner uses it. */
interface Grant {
  name: string
  obtain(fixture: Fixture, client: TestClient): Promise<string>
  use(
    fixture: Fixture,
    client: TestClient,
    credential: string,
    change?: Record<string, string | undefined>,
  ): Promise<Response>
  parameters(credential: string): Record<string, string>
}
const grants: readonly Grant[] = [
  {
    name: 'authorization_code',
    obtain: async (fixture, client) => (await fixture.placeCode(client)).code,
    use: (fixture, client, code, change) => fixture.redeem(client, code, change),
    parameters: code => ({ grant_type: 'authorization_code', code, code_verifier: verifier }),
  },
  {
    name: 'refresh_token',
    obtain: async (fixture, client) => (await fixture.session(client)).refresh,
    use: (fixture, client, token, change) => fixture.refresh(client, token, change),
    parameters: token => ({ grant_type: 'refresh_token', refresh_token: token }),
  },
]
const matrix = grants.flatMap(grant => clientTypes.map(client => ({ grant, client })))
const eachCell = matrix.map(cell => [`${cell.grant.name} of a ${cell.client.name} client`, cell] as const)

describe('every rule, for every grant and every kind of client', () => {
  it.each(eachCell)('R93: %s is answered with a Bearer token, its life and its scope', async (_, cell) => {
    const fixture = createFixture()
    const credential = await cell.grant.obtain(fixture, cell.client)
    const response = await cell.grant.use(fixture, cell.client, credential, { resource, ignored: 'x' })
    expect(response.status).toBe(200)
    const body = (await response.json()) as Record<string, string>
    expect(body).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 900,
      refresh_token: expect.any(String),
      scope: 'notes:read notes:write',
    })
    expect(await fixture.server.verifyAccessToken(body.access_token!, resource)).toMatchObject({
      userId: 'user-1',
      clientId: cell.client.clientId,
      scopes: ['notes:read', 'notes:write'],
      resource,
      expiresAt: fixture.time.now + 900,
    })
  })

  const refusals: [
    string,
    string,
    (cell: { grant: Grant; client: TestClient }, fixture: Fixture, credential: string) => Promise<Response>,
  ][] = [
    [
      'R98, R107: another client, invalid_grant',
      '400 invalid_grant',
      ({ grant }, fixture, credential) => grant.use(fixture, otherClient, credential),
    ],
    [
      'R101: a resource that exists but was not granted',
      '400 invalid_target',
      ({ grant, client }, fixture, credential) =>
        grant.use(fixture, client, credential, { resource: otherResource }),
    ],
    [
      'R101: a resource that does not exist',
      '400 invalid_target',
      ({ grant, client }, fixture, credential) =>
        grant.use(fixture, client, credential, { resource: 'https://evil.example/mcp' }),
    ],
    [
      'R101: the granted resource and another one',
      '400 invalid_target',
      ({ grant, client }, fixture, credential) =>
        fixture.post(
          '/oauth/token',
          [
            ...Object.entries({ ...grant.parameters(credential), ...client.body }),
            ['resource', resource],
            ['resource', otherResource],
          ],
          client.headers,
        ),
    ],
    [
      'R83: a parameter sent twice',
      '400 invalid_request',
      ({ grant, client }, fixture, credential) =>
        fixture.post(
          '/oauth/token',
          [
            ...Object.entries({ ...grant.parameters(credential), ...client.body }),
            ['grant_type', grant.name],
          ],
          client.headers,
        ),
    ],
    [
      'R83: a missing grant_type',
      '400 invalid_request',
      ({ grant, client }, fixture, credential) =>
        grant.use(fixture, client, credential, { grant_type: undefined }),
    ],
    [
      'R83: an empty grant_type, which is a missing one',
      '400 invalid_request',
      ({ grant, client }, fixture, credential) => grant.use(fixture, client, credential, { grant_type: '' }),
    ],
    [
      'R90: a grant_type nobody knows',
      '400 unsupported_grant_type',
      ({ grant, client }, fixture, credential) =>
        grant.use(fixture, client, credential, { grant_type: 'password' }),
    ],
    [
      'R90: a grant_type that only every object has',
      '400 unsupported_grant_type',
      ({ grant, client }, fixture, credential) =>
        grant.use(fixture, client, credential, { grant_type: 'constructor' }),
    ],
    [
      'R86: an unknown client',
      '401 invalid_client',
      ({ grant }, fixture, credential) =>
        fixture.post('/oauth/token', { ...grant.parameters(credential), client_id: 'nobody' }),
    ],
    [
      'R86: no client at all',
      '401 invalid_client',
      ({ grant }, fixture, credential) => fixture.post('/oauth/token', grant.parameters(credential)),
    ],
  ]
  it.each(
    refusals.flatMap(([title, expected, attempt]) =>
      eachCell.map(([cellName, cell]) => [`${title}: ${cellName}`, expected, attempt, cell] as const),
    ),
  )('R91: refused, and still good for its owner: %s', async (_, expected, attempt, cell) => {
    const fixture = createFixture()
    const credential = await cell.grant.obtain(fixture, cell.client)
    expect(await outcome(await attempt(cell, fixture, credential))).toBe(expected)
    expect(await outcome(await cell.grant.use(fixture, cell.client, credential))).toBe('200')
    expect(fixture.events.filter(({ type }) => type === 'family_revoked')).toEqual([])
  })

  const confidential = grants.flatMap(grant =>
    [basicClient, postClient].map(
      client => [`${grant.name} of a ${client.name} client`, { grant, client }] as const,
    ),
  )
  it.each(confidential)('R85: %s without the secret is refused, and harms nothing', async (_, cell) => {
    const fixture = createFixture()
    const credential = await cell.grant.obtain(fixture, cell.client)
    const body = { ...cell.grant.parameters(credential), client_id: cell.client.clientId }
    expect(await outcome(await fixture.post('/oauth/token', body))).toBe('401 invalid_client')
    const wrong = await fixture.post('/oauth/token', { ...body, client_secret: 'wrong' })
    expect(await outcome(wrong)).toBe('401 invalid_client')
    expect(await outcome(await cell.grant.use(fixture, cell.client, credential))).toBe('200')
  })

  it.each(confidential)('R84: %s with two ways to authenticate at once is refused', async (_, cell) => {
    const fixture = createFixture()
    const credential = await cell.grant.obtain(fixture, cell.client)
    const response = await fixture.post(
      '/oauth/token',
      { ...cell.grant.parameters(credential), ...postClient.body },
      basicClient.headers,
    )
    expect(await outcome(response)).toBe('400 invalid_request')
    expect(await outcome(await cell.grant.use(fixture, cell.client, credential))).toBe('200')
  })

  it.each(grants)(
    'R90: $name by a client that is not registered for it is unauthorized',
    async ({ parameters }) => {
      const client = { clientId: 'x', grantTypes: [], tokenEndpointAuthMethod: 'none' } as unknown as Client
      const context = {
        clients: { resolveClient: async () => client },
        grantTypes: ['authorization_code', 'refresh_token'],
        emit: () => {},
      } as unknown as Context
      const body = new URLSearchParams({ ...parameters('x'), client_id: 'x' })
      const request = new Request('https://mcp.example.com/oauth/token', { method: 'POST', body })
      await expect(token(context, request, {})).rejects.toMatchObject({
        code: 'unauthorized_client',
        status: 400,
      })
    },
  )

  it('R90: a refresh by a client that has lost the grant is unauthorized, and harms nothing', async () => {
    const fixture = createFixture()
    const { refresh } = await fixture.session(publicClient)
    const clients = [{ clientId: 'public', redirectUris: [redirectUri], grantTypes: ['authorization_code'] }]
    const later = createFixture({ store: fixture.store, clients })
    expect(await outcome(await later.refresh(publicClient, refresh))).toBe('400 unauthorized_client')
    expect(await outcome(await fixture.refresh(publicClient, refresh))).toBe('200')
  })

  it.each(eachCell)('R109: %s fails once the family is revoked', async (_, cell) => {
    const fixture = createFixture()
    const credential = await cell.grant.obtain(fixture, cell.client)
    const [grant] = await fixture.server.admin.listGrants('user-1')
    await fixture.server.admin.revokeGrant(grant!.grantId)
    expect(await outcome(await cell.grant.use(fixture, cell.client, credential))).toBe('400 invalid_grant')
  })

  it.each(grants)(
    'R109: $name fails once the client is deleted, in the way that makes it register again',
    async grant => {
      const fixture = createFixture()
      const { client_id: clientId } = (await (await fixture.server.handle(
        new Request('https://mcp.example.com/oauth/register', {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({
            client_name: 'Registered',
            redirect_uris: [redirectUri],
            token_endpoint_auth_method: 'none',
            grant_types: ['authorization_code', 'refresh_token'],
          }),
        }),
      ))!.json()) as { client_id: string }
      const client: TestClient = { name: 'registered', clientId, headers: {}, body: { client_id: clientId } }
      const credential = await grant.obtain(fixture, client)
      await fixture.server.admin.revokeClient(clientId)
      expect(await outcome(await grant.use(fixture, client, credential))).toBe('401 invalid_client')
      expect(await fixture.server.admin.listGrants('user-1')).toEqual([])
    },
  )

  it.each(eachCell)(
    'R89: the answer to %s is never stored, and an error says nothing but what it may',
    async (_, cell) => {
      const fixture = createFixture()
      const credential = await cell.grant.obtain(fixture, cell.client)
      const responses = [
        await cell.grant.use(fixture, cell.client, 'ünknown "quoted" \\ \u0000'),
        await cell.grant.use(fixture, cell.client, credential, { grant_type: 'ü"\\<script>' }),
        await cell.grant.use(fixture, cell.client, credential, { resource: 'ü"\\<script>' }),
        await cell.grant.use(fixture, cell.client, credential, {
          scope: 'ü"\\<script>',
          code_verifier: 'ü"\\',
        }),
        await cell.grant.use(fixture, cell.client, credential, {
          client_id: 'ü"\\<script>',
          client_secret: 'ü',
        }),
        await fixture.post('/oauth/token', '%%%=%zz&=&grant_type'),
      ]
      for (const response of responses) {
        expect(response.status).toBeGreaterThanOrEqual(400)
        expect(response.status).toBeLessThan(500)
        expect(response.headers.get('content-type')).toBe('application/json')
        expect(response.headers.get('cache-control')).toBe('no-store')
        const body = (await response.json()) as Record<string, string>
        for (const member of Object.values(body)) expect(member).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/)
        expect(JSON.stringify(body)).not.toMatch(/<script|quoted/)
      }
      const granted = await cell.grant.use(fixture, cell.client, credential)
      expect([granted.status, granted.headers.get('cache-control')]).toEqual([200, 'no-store'])
    },
  )

  const stepNames = ['findGrant', 'redeemCode', 'rotateRefreshToken', 'listSigningKeys'] as const
  it.each(
    eachCell.flatMap(([cellName, cell]) =>
      stepNames
        .filter(step => step !== (cell.grant.name === 'refresh_token' ? 'redeemCode' : 'rotateRefreshToken'))
        .map(step => [`${step}, ${cellName}`, step, cell] as const),
    ),
  )(
    'R92: when the store cannot answer %s: 503 with Retry-After, and nothing is used up',
    async (_, step, cell) => {
      let isDown = false
      const faulty = (store: Store): Store =>
        new Proxy(store, {
          get: (target, name, receiver) =>
            isDown && name === step
              ? () => Promise.reject(new StoreUnavailableError('canary-reason'))
              : Reflect.get(target, name, receiver),
        })
      const fixture = createFixture({}, faulty)
      const credential = await cell.grant.obtain(fixture, cell.client)
      isDown = true
      // A process that has signed before needs no key from the store; one that starts now does.
      const down = step === 'listSigningKeys' ? createFixture({ store: faulty(fixture.store) }) : fixture
      const response = await cell.grant.use(down, cell.client, credential)
      expect(response.headers.get('retry-after')).toBe('1')
      expect(await response.text()).not.toContain('canary-reason')
      expect(response.status).toBe(503)
      expect(down.events).toContainEqual({ type: 'store_unavailable', step: '/oauth/token' })
      isDown = false
      expect(await outcome(await cell.grant.use(fixture, cell.client, credential))).toBe('200')
    },
  )
})

describe('what the token endpoint takes', () => {
  const good = { grant_type: 'authorization_code', client_id: 'public', code: 'x', code_verifier: verifier }
  it.each([
    ['JSON', 'application/json', JSON.stringify(good)],
    ['multipart', 'multipart/form-data; boundary=x', '--x--'],
    ['text', 'text/plain', new URLSearchParams(good).toString()],
    ['two media types', 'a/b, application/x-www-form-urlencoded', new URLSearchParams(good).toString()],
    ['no media type', '', new URLSearchParams(good).toString()],
  ])('R82: %s is refused, and not by a crash', async (_, type, body) => {
    const response = await createFixture().post('/oauth/token', body, { 'Content-Type': type })
    expect([400, 415]).toContain(response.status)
    expect(response.headers.get('content-type')).toBe('application/json')
  })

  it('R82: what stands in the query is not looked at', async () => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(publicClient)
    const query = new URLSearchParams({ ...good, code }).toString()
    expect((await fixture.post(`/oauth/token?${query}`, '')).status).toBeGreaterThanOrEqual(400)
    expect(await outcome(await fixture.redeem(publicClient, code))).toBe('200')
  })

  it('R196: a body beyond the limit is refused', async () => {
    const response = await createFixture().post('/oauth/token', { ...good, pad: 'x'.repeat(2_000_000) })
    expect([400, 413]).toContain(response.status)
  })
})
