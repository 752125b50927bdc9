import {
  ConfigurationError,
  createMemoryStore,
  developmentSignIn,
  type SallyportEvent,
  StoreUnavailableError,
} from '@sallyport/oauth'
import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createServer } from './create-server.ts'
import { createLogger } from './log.ts'
import { connectClient, eras } from './mcp-client.fixture.ts'
import { mcpRequest } from './mcp-request.fixture.ts'
import { fakeProvider } from './provider.fixture.ts'
import { ConnectionRequiredError, type Provider } from './provider.ts'
import { createTestClient, testSignIn, textOf } from './sign-in.fixture.ts'

const origin = 'http://localhost:3000'

function setUp() {
  let now = 1_800_000_000
  const google = fakeProvider('google')
  const events: SallyportEvent[] = []
  const lines: string[] = []
  const seen: unknown[] = []
  const store = createMemoryStore({ tenant: 'default' })
  const server = createServer({
    name: 'notebook',
    version: '1.0.0',
    signIn: developmentSignIn(),
    providers: [google.provider],
    scopes: { 'notes:write': 'Add notes to your notebook', profile: 'Read your profile' },
    store,
    secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
    environment: {},
    clock: () => now,
    onEvent: event => events.push(event),
    logger: createLogger({ name: 'test', level: 'trace' }, { write: line => void lines.push(line) }),
  })
  server.tool('add', {
    description: 'Adds',
    input: z.object({ a: z.number(), b: z.number() }),
    run: ({ a, b }) => `${a + b}`,
  })
  server.tool('whoami', { description: 'Names you', auth: {}, run: (_, { caller }) => caller.userId })
  server.tool('add-note', {
    description: 'Adds a note',
    input: z.object({ text: z.string() }),
    auth: { scopes: ['notes:write'] },
    run: ({ text }) => `noted: ${text}`,
  })
  server.tool('greet', {
    description: 'Greets',
    auth: { anonymous: true },
    run: (_, { caller }) => (caller ? 'hello, you' : 'hello, whoever'),
  })
  server.tool('profile', {
    description: 'Reads your Google profile',
    auth: { scopes: ['profile'], google: ['calendar'] },
    run: async (_, context) => {
      seen.push(context)
      return (await context.fetch('https://google.example/profile')).json()
    },
  })
  const serve = (request: Request) => server.fetch(request)
  return {
    server,
    serve,
    client: createTestClient(serve, origin),
    google,
    store,
    events,
    lines,
    seen,
    advance(seconds: number) {
      now += seconds
    },
  }
}

let world: ReturnType<typeof setUp>
beforeEach(() => {
  world = setUp()
})

const challengeOf = (response: Response) => response.headers.get('www-authenticate')
const metadataUrl = `${origin}/.well-known/oauth-protected-resource/mcp`
const signInChallenge = `Bearer resource_metadata="${metadataUrl}", scope="mcp", DPoP algs="ES256 Ed25519 EdDSA PS256 RS256"`

describe('from the first 401 to the call', () => {
  it('R149: the 401 leads to metadata, the metadata to a token, the token through the gate', async () => {
    const { client, serve } = world
    const refused = await client.call('whoami')
    expect(refused.status).toBe(401)
    expect(challengeOf(refused)).toBe(signInChallenge)

    const metadata = (await (await serve(new Request(metadataUrl))).json()) as Record<string, string[]>
    const issuer = metadata.authorization_servers?.[0]
    const found = await serve(new Request(`${issuer}/.well-known/oauth-authorization-server`))
    expect(await found.json()).toMatchObject({
      issuer: origin,
      authorization_endpoint: `${origin}/oauth/authorize`,
      token_endpoint: `${origin}/oauth/token`,
    })

    const { access_token: token, scope } = await client.signIn()
    expect(scope).toBe('mcp')
    expect(await textOf(await client.call('whoami', {}, token))).toMatch(/\S{8,}/)
  })

  it('R156: a step up: 403 names every scope, consent says it in words, then the call goes through', async () => {
    const { client } = world
    const { access_token: token } = await client.signIn()
    const refused = await client.call('add-note', { text: 'x' }, token)
    expect(refused.status).toBe(403)
    expect(challengeOf(refused)).toMatch(/^Bearer error="insufficient_scope", .*, scope="notes:write"$/)
    const more = await client.signIn({ scope: 'mcp notes:write' })
    expect(client.pages.join()).toContain('Add notes to your notebook')
    expect(await textOf(await client.call('add-note', { text: 'x' }, more.access_token))).toBe('noted: x')
  })

  it('a public tool works without a token, and an anonymous one with and without', async () => {
    const { client } = world
    expect(await textOf(await client.call('add', { a: 1, b: 2 }))).toBe('3')
    expect(await textOf(await client.call('greet'))).toBe('hello, whoever')
    const { access_token: token } = await client.signIn()
    expect(await textOf(await client.call('greet', {}, token))).toBe('hello, you')
  })

  it.each(eras)('a %s client calls a protected tool with its token', async (_, era) => {
    const { client, serve } = world
    const { access_token: token } = await client.signIn()
    const mcp = await connectClient(`${origin}/mcp`, era, (url, init) => {
      const request = new Request(url, init)
      request.headers.set('authorization', `Bearer ${token}`)
      return serve(request)
    })
    expect((await mcp.listTools()).tools).toHaveLength(5)
    expect(await mcp.callTool({ name: 'whoami', arguments: {} })).toMatchObject({
      content: [{ text: expect.stringMatching(/\S{8,}/) }],
    })
    await mcp.close()
  })

  it('a refreshed token works, and the user is still the same', async () => {
    const { client, advance } = world
    const first = await client.signIn()
    const before = await textOf(await client.call('whoami', {}, first.access_token))
    advance(901)
    const ended = await client.call('whoami', {}, first.access_token)
    expect(ended.status).toBe(401)
    expect(challengeOf(ended)).toContain('error="invalid_token"')
    const second = await client.token({
      grant_type: 'refresh_token',
      refresh_token: String(first.refresh_token),
    })
    expect(await textOf(await client.call('whoami', {}, second.access_token))).toBe(before)
  })

  it('R157: a revoked sign-in ends at the next call', async () => {
    const { client } = world
    const { access_token: token, refresh_token } = await client.signIn()
    expect((await client.call('whoami', {}, token)).status).toBe(200)
    expect(await client.revoke(String(refresh_token))).toBe(200)
    expect((await client.call('whoami', {}, token)).status).toBe(401)
  })
})

describe('the gate of a real server', () => {
  it('R155: what is not an access token for here is refused', async () => {
    const { client } = world
    const { refresh_token, access_token } = await client.signIn()
    const [header, payload] = String(access_token).split('.')
    for (const token of [
      refresh_token,
      `${header}.${payload}.`,
      `${header}.${payload}`,
      'external-token-of-google',
    ]) {
      const response = await client.call('whoami', {}, token)
      expect([response.status, challengeOf(response)?.includes('invalid_token')]).toEqual([401, true])
    }
  })

  it('R153: a token for the same path of another server is refused', async () => {
    const other = createServer({
      name: 'other',
      version: '1',
      ...testSignIn(),
      port: 4000,
      store: world.store,
    })
    other.tool('whoami', { description: 'd', auth: {}, run: () => 'other' })
    const elsewhere = createTestClient(request => other.fetch(request), 'http://localhost:4000')
    const { access_token: token } = await elsewhere.signIn()
    expect((await elsewhere.call('whoami', {}, token)).status).toBe(200)
    expect((await world.client.call('whoami', {}, token)).status).toBe(401)
  })

  it.each(['GET', 'DELETE', 'HEAD', 'PUT', 'PATCH', 'POST'])(
    'R152: with challenge on connect %s without a token is 401, however broken the rest is',
    async method => {
      const server = createServer({
        name: 'closed',
        version: '1',
        ...testSignIn(),
        store: world.store,
      })
      server.tool('whoami', { description: 'd', auth: {}, run: () => '' })
      const response = await server.fetch(new Request(`${origin}/mcp`, { method }))
      expect(response.status).toBe(401)
      expect(challengeOf(response)).toBe(signInChallenge)
    },
  )

  it('clients learn at connect that they must sign in, as soon as no tool is public, or when told so', async () => {
    const statusOf = async (challengeOnConnect: boolean | undefined, hasPublicTool: boolean) => {
      const server = createServer({
        name: 'closed',
        version: '1',
        ...testSignIn(),
        store: world.store,
        ...(challengeOnConnect !== undefined && { challengeOnConnect }),
      })
      server.tool('whoami', { description: 'd', auth: {}, run: () => '' })
      if (hasPublicTool) server.tool('add', { description: 'd', run: () => '' })
      const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
      return (await server.fetch(mcpRequest(origin, list))).status
    }
    expect(await statusOf(undefined, false)).toBe(401)
    expect(await statusOf(undefined, true)).toBe(200)
    expect(await statusOf(true, true)).toBe(401)
    expect(await statusOf(false, false)).toBe(200)
  })

  it('where everything needs one scope, every way to sign in brings it, and whoever has less is told', async () => {
    const server = createServer({
      name: 'closed',
      version: '1',
      ...testSignIn(),
      store: world.store,
      clock: () => 1_800_000_000,
    })
    server.tool('read', { description: 'd', auth: { scopes: ['notes'] }, run: () => 'read' })
    server.tool('write', { description: 'd', auth: { scopes: ['notes', 'write'] }, run: () => 'written' })
    const serve = (request: Request) => server.fetch(request)
    const connecting = await serve(new Request(`${origin}/mcp`, { method: 'POST' }))
    expect(challengeOf(connecting)).toContain('scope="mcp notes"')
    expect(await (await serve(new Request(metadataUrl))).json()).toMatchObject({
      scopes_supported: ['mcp', 'notes'],
    })
    const client = createTestClient(serve, origin)
    const { access_token: token, scope } = await client.signIn()
    expect(scope).toBe('mcp notes')
    expect(await textOf(await client.call('read', {}, token))).toBe('read')
    const refused = await client.call('write', {}, token)
    expect([refused.status, challengeOf(refused)]).toEqual([
      403,
      expect.stringContaining('scope="notes write"'),
    ])
    const { access_token: less } = await client.signIn({ scope: 'mcp' })
    expect((await client.call('read', {}, less)).status).toBe(403)
    await server.close()
  })

  it('R152: a protected call inside a batch is not let through by the public one before it', async () => {
    const call = (name: string, id: number) => ({
      jsonrpc: '2.0',
      id,
      method: 'tools/call',
      params: { name, arguments: { a: 1, b: 1 } },
    })
    const response = await world.serve(mcpRequest(origin, [call('add', 1), call('whoami', 2)]))
    expect(response.status).toBe(401)
  })

  it.each([metadataUrl, `${origin}/.well-known/oauth-protected-resource`])(
    'R12, R148: %s describes the resource byte for byte as clients know it, and asks for no offline_access',
    async url => {
      const response = await world.serve(new Request(url))
      expect(response.status).toBe(200)
      expect(response.headers.get('access-control-allow-origin')).toBe('*')
      expect(await response.json()).toEqual({
        resource: `${origin}/mcp`,
        authorization_servers: [origin],
        scopes_supported: ['mcp'],
        bearer_methods_supported: ['header'],
        dpop_signing_alg_values_supported: ['ES256', 'Ed25519', 'EdDSA', 'PS256', 'RS256'],
        resource_name: 'notebook',
      })
    },
  )

  it.each(['/nope', '/mcp/', '/mcp-v2', '/oauth'])(
    'R148: %s is no resource and has no metadata',
    async path => {
      const response = await world.serve(new Request(`${origin}/.well-known/oauth-protected-resource${path}`))
      expect(response.status).toBe(404)
    },
  )

  it('R196: an OAuth request with a large body is refused', async () => {
    const response = await world.serve(
      new Request(`${origin}/oauth/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: `grant_type=refresh_token&refresh_token=${'x'.repeat(70_000)}`,
      }),
    )
    expect(response.status).toBe(413)
  })

  it('a store that is down is 503 for health and sign-in, and no reason for anybody to sign in again', async () => {
    await world.client.signIn()
    world.store.check = () => Promise.reject(new StoreUnavailableError('canary: no connection'))
    const response = await world.serve(new Request(`${origin}/health`))
    expect([response.status, await response.json()]).toEqual([503, { status: 'unavailable' }])
  })
})

describe('a provider in a tool', () => {
  const elsewhere = (url: URL) => {
    const back = new URL(url.searchParams.get('redirect_uri') ?? '')
    back.searchParams.set('state', url.searchParams.get('state') ?? '')
    back.searchParams.set('code', 'ada-at-google')
    return back.href
  }

  it('a sign-in brings the connections that the granted tools need, and no others', async () => {
    const { client, google } = world
    await client.signIn()
    expect(google.started).toEqual([])
    const { access_token: token } = await client.signIn({ scope: 'profile', elsewhere })
    expect(google.started).toEqual([{ scopes: ['calendar'] }])
    expect(await textOf(await client.call('profile', {}, token))).toBe('{"via":"google"}')
    expect(google.requests).toMatchObject([{ url: 'https://google.example/profile', scopes: ['calendar'] }])
    await client.signIn({ scope: 'profile' })
    expect(google.started).toHaveLength(1)
  })

  it('a lost connection comes with a link that opens for the signed-in user', async () => {
    const { client, google, lines } = world
    const { access_token: token } = await client.signIn({ scope: 'profile', elsewhere })
    google.fail(new ConnectionRequiredError('google', 'dead', ['calendar']))
    const text = await textOf(await client.call('profile', {}, token))
    const link = /https?:\/\/\S+$/.exec(text ?? '')?.[0]
    expect(text).toMatch(/^The connection to your GOOGLE account has ended\. Open this link/)
    expect(link?.startsWith(`${origin}/oauth/connect/`)).toBe(true)
    const { html, url } = await client.browse(link ?? '')
    expect(html ?? url.href).toMatch(/google/i)
    // R188: the link opens something once, so it is not for the log.
    expect(lines.join('')).toContain('/oauth/connect/…')
    expect(lines.join('')).not.toContain(new URL(link ?? '').pathname)
  })

  it('R158: nothing a tool can reach holds the token that was presented', async () => {
    const { client, seen } = world
    const { access_token: token } = await client.signIn({ scope: 'profile', elsewhere })
    await client.call('profile', {}, token)
    const reachable = new Set<unknown>()
    const read = (value: object, key: PropertyKey): unknown => {
      try {
        return Reflect.get(value, key)
      } catch {
        return undefined
      }
    }
    // What getters of a class give is reached as easily as what an object holds.
    const keysOf = (value: object): PropertyKey[] => {
      const prototype = Object.getPrototypeOf(value)
      const inherited = prototype === null || prototype === Object.prototype ? [] : keysOf(prototype)
      return [...Reflect.ownKeys(value), ...inherited]
    }
    const walk = (value: unknown, depth: number): boolean => {
      if (typeof value === 'string') return value.includes(String(token))
      if (typeof value !== 'object' || value === null || reachable.has(value) || depth > 6) return false
      reachable.add(value)
      return keysOf(value).some(key => walk(read(value, key), depth + 1))
    }
    expect(seen).toHaveLength(1)
    expect(walk(seen[0], 0)).toBe(false)
    expect(reachable.size).toBeGreaterThan(6)
  })
})

describe('a provider without credentials', () => {
  const sentence = 'GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET are not set.'
  const google: Provider<'google'> = {
    ...fakeProvider('google').provider,
    connect() {
      throw new ConfigurationError(sentence)
    },
  }
  const options = {
    name: 'poor',
    version: '1',
    port: 0,
    secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
    environment: {},
  } as const
  const start = { silent: true, throwOnError: true, handleSignals: false }

  it('stops the server when a tool needs it', async () => {
    const store = createMemoryStore({ tenant: 'default' })
    const further = createServer({ ...options, store, signIn: developmentSignIn(), providers: [google] })
    further.tool('events', { description: 'd', auth: { google: [] }, run: () => '' })
    await expect(further.start(start)).rejects.toThrow(sentence)
    const signIn = createServer({ ...options, store, signIn: google })
    signIn.tool('whoami', { description: 'd', auth: {}, run: () => '' })
    await expect(signIn.start(start)).rejects.toThrow(sentence)
  })

  it('is no reason not to serve public tools', async () => {
    const lines: string[] = []
    const store = createMemoryStore({ tenant: 'default' })
    const logger = createLogger({ name: 'test', level: 'warn' }, { write: line => void lines.push(line) })
    const server = createServer({ ...options, store, logger, signIn: google })
    server.tool('add', { description: 'd', run: () => '2' })
    await server.start(start)
    const client = createTestClient(request => fetch(request), new URL(server.url).origin)
    expect(await textOf(await client.call('add'))).toBe('2')
    expect((await fetch(new URL('/.well-known/oauth-protected-resource/mcp', server.url))).status).toBe(404)
    expect(lines.join()).toContain(sentence)
    await server.close()
  })

  it('is no matter when no tool needs it', async () => {
    const store = createMemoryStore({ tenant: 'default' })
    const server = createServer({
      ...options,
      store,
      logLevel: 'silent',
      signIn: developmentSignIn(),
      providers: [google],
    })
    server.tool('whoami', { description: 'd', auth: {}, run: () => '' })
    await server.start(start)
    await server.close()
  })
})

describe('what is written down', () => {
  it('R188: at the most verbose level no log line and no event holds a token, code, state or secret', async () => {
    const { client, lines, events } = world
    const first = await client.signIn({ scope: 'mcp notes:write' })
    const second = await client.token({
      grant_type: 'refresh_token',
      refresh_token: String(first.refresh_token),
    })
    await client.call('whoami', {}, second.access_token)
    await client.call('whoami', {}, `${second.access_token}x`)
    await client.token({ grant_type: 'refresh_token', refresh_token: 'not-a-token-but-canary-0123' })
    const callback = new URL(client.visited.find(url => url.includes('code=')) ?? '')
    const secrets = [
      first.access_token,
      first.refresh_token,
      second.access_token,
      second.refresh_token,
      callback.searchParams.get('code'),
      'state-of-the-client',
      'a-code-verifier-of-a-test-client',
      'a-secret-for-tests',
      'canary-0123',
      ...client.visited.flatMap(url =>
        [...new URL(url).searchParams.values()].filter(value => value.length > 30),
      ),
    ]
    const written = lines.join('') + JSON.stringify(events)
    expect(lines.length).toBeGreaterThan(10)
    for (const secret of secrets) {
      expect(String(secret).length).toBeGreaterThan(8)
      expect(written.includes(String(secret))).toBe(false)
    }
  })

  it('R191: who signed in, who was refused and what was called are events', async () => {
    const { client, events } = world
    const { access_token: token } = await client.signIn()
    await client.call('add-note', { text: 'x' }, token)
    await client.call('whoami', {}, token)
    expect(events.map(({ type }) => type)).toEqual(
      expect.arrayContaining([
        'client_registered',
        'consent_granted',
        'sign_in_succeeded',
        'code_issued',
        'token_issued',
        'scope_challenged',
        'tool_called',
      ]),
    )
  })
})
