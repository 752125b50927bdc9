import { describe, expect, it } from 'vitest'
import {
  basicClient,
  challenge,
  clientTypes,
  configuredClients,
  createFixture as createServer,
  type Fixture,
  issuer,
  jwtClient,
  otherClient,
  otherResource,
  outcome,
  postClient,
  publicClient,
  redirectUri,
  resource,
  type TestClient,
} from '../authorization-server.fixture.ts'
import { StoreUnavailableError } from '../errors.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import {
  type Answer,
  type Browser,
  createBrowser,
  createFakeProvider,
  parametersOf,
} from './sign-in.fixture.ts'

const createFixture = (...[options, wrap]: Parameters<typeof createServer>) =>
  createServer({ signIn: createFakeProvider('google', 'Google'), ...options }, wrap)

const asked = {
  response_type: 'code',
  redirect_uri: redirectUri,
  code_challenge: challenge,
  code_challenge_method: 'S256',
  state: 'canary-state ü+%2F',
  scope: 'notes:write',
  resource: otherResource,
}
const push = (fixture: Fixture, client: TestClient, change: Record<string, string> = {}) =>
  fixture.post('/oauth/par', { ...asked, ...client.body, ...change }, client.headers)
const pushed = async (fixture: Fixture, client: TestClient, change = {}) => {
  const response = await push(fixture, client, change)
  expect(response.status).toBe(201)
  return ((await response.json()) as { request_uri: string }).request_uri
}
const browserOf = (fixture: Fixture) =>
  createBrowser(async request => (await fixture.server.handle(request))!)
const open = (browser: Browser, client: TestClient, requestUri: string, more: Record<string, string> = {}) =>
  browser.open(
    `${issuer}/oauth/authorize?${new URLSearchParams({ client_id: client.clientId, request_uri: requestUri, ...more })}`,
  )
const allow = (browser: Browser, page: Answer) => browser.submit(page, { decision: 'allow' })
async function signIn(browser: Browser, page: Answer): Promise<URLSearchParams> {
  const sentTo = await allow(browser, page)
  const upstreamState = new URL(sentTo.location!).searchParams.get('state')!
  const back = new URLSearchParams({ code: 'canary-upstream-code', state: upstreamState })
  return parametersOf(await browser.open(`${issuer}/oauth/callback/google?${back}`))
}

describe('pushed authorization requests', () => {
  it.each(clientTypes.map(client => [client.name, client] as const))(
    'R62: a %s client pushes its request, and the user is asked just that',
    async (_, client) => {
      const fixture = createFixture()
      const response = await push(fixture, client)
      expect(response.status).toBe(201)
      expect(response.headers.get('cache-control')).toBe('no-store')
      const body = (await response.json()) as { request_uri: string; expires_in: number }
      expect(body).toEqual({
        request_uri: expect.stringMatching(/^urn:ietf:params:oauth:request_uri:[\w.-]{40,}$/),
        expires_in: 600,
      })
      const browser = browserOf(fixture)
      const answer = await signIn(browser, await open(browser, client, body.request_uri))
      expect(answer.get('state')).toBe(asked.state)
      const redeemed = await fixture.redeem(client, answer.get('code')!)
      const tokens = (await redeemed.json()) as Record<string, string>
      expect(tokens.scope).toBe('notes:write')
      const access = await fixture.server.verifyAccessToken(tokens.access_token!, otherResource)
      expect(access).toMatchObject({ clientId: client.clientId, resource: otherResource })
    },
  )

  it('R62, R56: what stands beside it in the address counts for nothing', async () => {
    const fixture = createFixture()
    const browser = browserOf(fixture)
    const requestUri = await pushed(fixture, publicClient, { scope: 'notes:read' })
    const more = { scope: 'notes:write', redirect_uri: 'https://evil.example/cb', state: 'other', resource }
    const answer = await signIn(browser, await open(browser, publicClient, requestUri, more))
    expect(answer.get('state')).toBe(asked.state)
    const tokens = (await (await fixture.redeem(publicClient, answer.get('code')!)).json()) as {
      scope: string
    }
    expect(tokens.scope).toBe('notes:read')
  })

  it.each<[string, TestClient, Record<string, string>, string]>([
    [
      'R62: a request_uri',
      publicClient,
      { request_uri: 'urn:ietf:params:oauth:request_uri:x' },
      '400 invalid_request',
    ],
    ['R61: a request object', publicClient, { request: 'x.y.z' }, '400 request_not_supported'],
    [
      'R40: no redirect URI that is its own',
      publicClient,
      { redirect_uri: 'https://evil.example' },
      '400 invalid_request',
    ],
    ['R43: no challenge', publicClient, { code_challenge: '' }, '400 invalid_request'],
    ['R43: a plain challenge', publicClient, { code_challenge_method: 'plain' }, '400 invalid_request'],
    ['R44: another response type', publicClient, { response_type: 'token' }, '400 unsupported_response_type'],
    ['R54: an unknown resource', publicClient, { resource: 'https://evil.example' }, '400 invalid_target'],
    ['R55: no scope that is offered', publicClient, { scope: 'admin' }, '400 invalid_scope'],
    [
      'R85: no secret',
      { ...basicClient, headers: {}, body: { client_id: 'basic' } },
      {},
      '401 invalid_client',
    ],
    ['R86: a wrong secret', postClient, { client_secret: 'canary-wrong' }, '401 invalid_client'],
    ['R84: two ways of authentication', basicClient, { client_secret: 'x' }, '400 invalid_request'],
    ['R86: an unknown client', publicClient, { client_id: 'nobody' }, '401 invalid_client'],
    ['R116: an assertion that is none', jwtClient, { client_assertion: 'x.y.z' }, '401 invalid_client'],
    [
      'R62: more than an address can hold',
      publicClient,
      { state: 'x'.repeat(4_000), padding: 'x'.repeat(3_000) },
      '413 invalid_request',
    ],
  ])('%s is refused, as JSON', async (_, client, change, expected) => {
    const fixture = createFixture()
    const response = await push(fixture, client, change)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await outcome(response)).toBe(expected)
  })

  it('R90: a client without authorization codes cannot push a request for one', async () => {
    const secret = 'canary-machine-secret-0123456789'
    const grantTypes = ['client_credentials']
    const machine = {
      clientId: 'm',
      clientSecret: secret,
      grantTypes,
      scopes: [],
      redirectUris: [redirectUri],
    }
    const fixture = createFixture({
      clients: [{ ...machine, tokenEndpointAuthMethod: 'client_secret_post' }],
    })
    const client = { ...postClient, clientId: 'm', body: { client_id: 'm', client_secret: secret } }
    expect(await outcome(await push(fixture, client))).toBe('400 unauthorized_client')
  })

  it('R82, R83: only POST, with a form, and nothing twice', async () => {
    const fixture = createFixture()
    const get = await fixture.server.handle(new Request(`${issuer}/oauth/par`))
    expect(get?.status).toBe(405)
    const twice = [...Object.entries({ ...asked, ...publicClient.body }), ['state', 'x']] as [
      string,
      string,
    ][]
    expect(await outcome(await fixture.post('/oauth/par', twice))).toBe('400 invalid_request')
  })

  it('R91, R118: an assertion is used up by a request that was pushed, and by no other', async () => {
    const fixture = createFixture()
    const client: TestClient = { ...jwtClient, body: jwtClient.body }
    expect(await outcome(await push(fixture, client, { scope: 'admin' }))).toBe('400 invalid_scope')
    expect((await push(fixture, client)).status).toBe(201)
    expect(await outcome(await push(fixture, client))).toBe('401 invalid_client')
  })

  const refusedPage = (page: Answer) => {
    expect([page.status, page.location]).toEqual([400, undefined])
    expect(page.html).toContain('invalid_request_uri')
    expect(page.html).not.toContain('<form')
  }
  it('R62: another client cannot use it, and its owner still can', async () => {
    const fixture = createFixture()
    const browser = browserOf(fixture)
    const requestUri = await pushed(fixture, publicClient)
    refusedPage(await open(browser, otherClient, requestUri))
    expect((await open(browser, publicClient, requestUri)).html).toContain('<form')
  })

  it('R62: it ends after ten minutes', async () => {
    const fixture = createFixture()
    const browser = browserOf(fixture)
    const requestUri = await pushed(fixture, publicClient)
    fixture.time.now += 599
    expect((await open(browser, publicClient, requestUri)).html).toContain('<form')
    fixture.time.now += 1
    refusedPage(await open(browser, publicClient, requestUri))
  })

  it.each([
    ['changed', (uri: string) => uri.slice(0, -20) + (uri.at(-20) === 'A' ? 'B' : 'A') + uri.slice(-19)],
    ['cut off', (uri: string) => uri.slice(0, -1)],
    ['invented', () => 'urn:ietf:params:oauth:request_uri:canary'],
    ['empty', () => 'urn:ietf:params:oauth:request_uri:'],
  ])('R62: one that was %s is refused', async (_, change) => {
    const fixture = createFixture()
    refusedPage(await open(browserOf(fixture), publicClient, change(await pushed(fixture, publicClient))))
  })

  it('R62: the page can be loaded again until the user has decided, and be answered once', async () => {
    const fixture = createFixture()
    const requestUri = await pushed(fixture, publicClient)
    const [first, second] = [browserOf(fixture), browserOf(fixture)]
    await open(first, publicClient, requestUri)
    const page = await open(first, publicClient, requestUri)
    const elsewhere = await open(second, publicClient, requestUri)
    expect((await signIn(first, page)).get('code')).not.toBeNull()
    for (const again of [await allow(first, page), await allow(second, elsewhere)]) {
      expect([again.status, again.location]).toEqual([403, undefined])
    }
    fixture.time.now += 599
    const late = await open(second, publicClient, requestUri)
    fixture.time.now += 599
    expect((await allow(second, late)).location).toBeUndefined()
  })

  it('R62, R70: a request that the user denied cannot be approved after all', async () => {
    const fixture = createFixture()
    const [first, second] = [browserOf(fixture), browserOf(fixture)]
    const requestUri = await pushed(fixture, publicClient)
    const page = await open(second, publicClient, requestUri)
    const denied = await first.submit(await open(first, publicClient, requestUri), { decision: 'deny' })
    expect(parametersOf(denied).get('error')).toBe('access_denied')
    expect((await allow(second, page)).location).toBeUndefined()
  })

  it('R62: of 10 browsers that approve at once, one goes on', async () => {
    const fixture = createFixture()
    const requestUri = await pushed(fixture, publicClient)
    const answers = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const browser = browserOf(fixture)
        return allow(browser, await open(browser, publicClient, requestUri))
      }),
    )
    expect(answers.filter(({ location }) => location !== undefined)).toHaveLength(1)
  })

  it('two pushes of the same request are two requests', async () => {
    const fixture = createFixture()
    const browser = browserOf(fixture)
    for (const requestUri of [await pushed(fixture, publicClient), await pushed(fixture, publicClient)]) {
      expect((await signIn(browser, await open(browser, publicClient, requestUri))).has('code')).toBe(true)
    }
  })

  it('R62: it is checked again when it is used: a redirect URI that is gone gets no answer', async () => {
    const fixture = createFixture()
    const requestUri = await pushed(fixture, publicClient)
    const clients = [{ clientId: 'public', redirectUris: ['https://new.example/cb'] }]
    const later = createFixture({ store: fixture.store, clients })
    const page = await open(browserOf(later), publicClient, requestUri)
    expect([page.status, page.location]).toEqual([400, undefined])
    const without = createFixture({
      store: fixture.store,
      clients: configuredClients.filter(({ clientId }) => clientId !== 'public'),
    })
    expect((await open(browserOf(without), publicClient, requestUri)).location).toBeUndefined()
  })

  it('R60: pushing stores nothing, however often', async () => {
    const store = createMemoryStore()
    const touched: string[] = []
    const watched = createFixture(
      { store },
      inner =>
        Object.fromEntries(
          Object.entries(inner).map(([name, step]) => [
            name,
            typeof step === 'function'
              ? (...all: unknown[]) => {
                  if (!/^(check|find(?!Or)|list|is|watch)/.test(name)) touched.push(name)
                  return (step as (...all: unknown[]) => unknown)(...all)
                }
              : step,
          ]),
        ) as never,
    )
    for (let i = 0; i < 100; i++) await pushed(watched, publicClient)
    expect(touched).toEqual([])
  })

  it('R112: the address holds nothing of the request in clear, and no credential at all', async () => {
    const fixture = createFixture()
    const requestUri = await pushed(fixture, postClient)
    for (const part of requestUri.split(/[.:]/)) {
      expect(Buffer.from(part, 'base64url').toString('latin1')).not.toMatch(/canary|https/)
    }
    expect(requestUri).not.toMatch(/canary|https/)
  })

  it('R61: a request_uri of another kind is still not fetched', async () => {
    const fixture = createFixture()
    const url = `${issuer}/oauth/authorize?${new URLSearchParams({ ...asked, client_id: 'public', request_uri: 'https://evil.example/r' })}`
    const answer = await browserOf(fixture).open(url)
    expect(parametersOf(answer).get('error')).toBe('request_uri_not_supported')
  })

  it('R92: when the store cannot tell whether it was used, nobody goes on', async () => {
    let isDown = false
    const fixture = createFixture({}, store => ({
      ...store,
      claimSingleUse: step =>
        isDown ? Promise.reject(new StoreUnavailableError('down')) : store.claimSingleUse(step),
    }))
    const browser = browserOf(fixture)
    const page = await open(browser, publicClient, await pushed(fixture, publicClient))
    isDown = true
    expect((await allow(browser, page)).status).toBe(503)
    isDown = false
    expect((await allow(browser, page)).location).toMatch(/^https:\/\/google\.example/)
  })
})
