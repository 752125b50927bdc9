import { ConfigurationError, developmentSignIn } from '@sallyport/oauth'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createServer } from './create-server.ts'
import type { ExternalIssuer } from './external-issuer.ts'
import { createForeignIssuer } from './foreign-issuer.fixture.ts'
import { createLogger } from './log.ts'
import { fakeProvider } from './provider.fixture.ts'
import { ConnectionRequiredError } from './provider.ts'
import { createTestClient, textOf } from './sign-in.fixture.ts'

const origin = 'http://localhost:3000'
const issuer = 'https://login.example.com'

let now: number
let lines: { level: number; msg: string }[]
let login: Awaited<ReturnType<typeof createForeignIssuer>>
const closing: (() => Promise<void>)[] = []
beforeEach(async () => {
  now = 1_900_000_000
  lines = []
  login = await createForeignIssuer(issuer, () => now)
})
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const settings = () => ({
  name: 'test',
  version: '1',
  environment: {},
  secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
  sessionProvider: 'memory' as const,
  logger: createLogger(
    { name: 'test', level: 'debug' },
    { write: line => void lines.push(JSON.parse(line)) },
  ),
  clock: () => now,
})

/** A server whose tokens come from `login`, and what a client sees of it. */
function serve(over: Partial<ExternalIssuer> = {}) {
  const server = createServer({ ...settings(), issuer: { issuer, fetch: login.fetch, ...over } })
  closing.push(() => server.close())
  server.tool('whoami', { description: 'd', auth: {}, run: (_, { caller }) => JSON.stringify(caller) })
  server.tool('notes', { description: 'd', auth: { scopes: ['notes:read'] }, run: () => 'notes' })
  server.tool('job', {
    description: 'd',
    auth: { clients: true },
    run: (_, { caller }) => caller.principal,
  })
  const request = (request: Request) => server.fetch(request)
  const { call } = createTestClient(request, origin)
  return { server, call, get: (path: string) => request(new Request(origin + path)) }
}
const challengeOf = (response: Response) => response.headers.get('www-authenticate')
const startOf = (server: { start(options: object): Promise<void> }) =>
  server.start({ silent: true, throwOnError: true, handleSignals: false })

describe('a server with an issuer', () => {
  it('names it, and the scopes of its tools, where clients look', async () => {
    const { get } = serve()
    for (const path of [
      '/.well-known/oauth-protected-resource/mcp',
      '/.well-known/oauth-protected-resource',
    ]) {
      expect(await (await get(path)).json()).toEqual({
        resource: `${origin}/mcp`,
        authorization_servers: [issuer],
        scopes_supported: ['notes:read'],
        bearer_methods_supported: ['header'],
        resource_name: 'test',
      })
    }
  })

  it('leaves the scopes out of its metadata where no tool has one', async () => {
    const server = createServer({ ...settings(), issuer: { issuer, fetch: login.fetch } })
    closing.push(() => server.close())
    server.tool('whoami', { description: 'd', auth: {}, run: () => '' })
    const response = await server.fetch(new Request(`${origin}/.well-known/oauth-protected-resource/mcp`))
    expect(await response.json()).not.toHaveProperty('scopes_supported')
  })

  it.each([
    '/.well-known/oauth-authorization-server',
    '/.well-known/openid-configuration',
    '/oauth/authorize',
    '/oauth/token',
    '/oauth/register',
    '/oauth/jwks',
    '/oauth/connect/google',
    '/account',
  ])('R13: has no authorization server of its own: %s', async path => {
    const { server } = serve()
    for (const method of ['GET', 'POST']) {
      expect((await server.fetch(new Request(origin + path, { method }))).status).toBe(404)
    }
  })

  it('R156: challenges for what the tool needs, and never for a scope that is only ours', async () => {
    const { call } = serve()
    const anonymous = await call('whoami')
    expect(anonymous.status).toBe(401)
    expect(challengeOf(anonymous)).toBe(
      `Bearer resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp"`,
    )
    expect(challengeOf(await call('notes'))).toContain('scope="notes:read"')
    const narrow = await call('notes', {}, await login.token())
    expect([narrow.status, challengeOf(narrow)]).toEqual([
      403,
      expect.stringMatching(/error="insufficient_scope".*scope="notes:read"/),
    ])
    const wide = await call('notes', {}, await login.token({ scope: 'openid notes:read' }))
    expect(await textOf(wide)).toBe('notes')
  })

  it('asks for a scope named like ours where a tool does', async () => {
    const server = createServer({ ...settings(), issuer: { issuer, fetch: login.fetch } })
    closing.push(() => server.close())
    server.tool('a', { description: 'd', auth: { scopes: ['mcp'] }, run: () => '' })
    const { call } = createTestClient(request => server.fetch(request), origin)
    expect(challengeOf(await call('a'))).toContain('scope="mcp"')
  })

  it('tells the tool who calls, as the issuer says and as this server knows them', async () => {
    const { call } = serve()
    const token = await login.token({ scope: 'openid', auth_time: now - 5 })
    expect(JSON.parse((await textOf(await call('whoami', {}, token))) ?? '')).toEqual({
      principal: 'user',
      userId: expect.stringMatching(/^[\w-]{43}$/),
      subject: 'ada',
      issuer,
      clientId: 'app',
      scopes: ['openid'],
      grantId: expect.any(String),
      authTime: now - 5,
      expiresAt: now + 300,
    })
  })

  it.each<[string, Record<string, unknown>, string?]>([
    ['R153: for another resource', { aud: 'https://other.example.com/mcp' }],
    ['R154: of another issuer', { iss: 'https://other.example.com' }],
    ['R155: that is an ID token', { nonce: 'n', aud: 'http://localhost:3000/mcp' }, 'JWT'],
    ['that has ended', { exp: 1_900_000_000 - 60 }],
  ])('refuses a token %s', async (_, claims, typ) => {
    const { call } = serve()
    const response = await call('whoami', {}, await login.token(claims, typ))
    expect([response.status, challengeOf(response)]).toEqual([
      401,
      expect.stringContaining('error="invalid_token"'),
    ])
  })

  it('R115: lets a client by itself use the tools that are for it, and no others', async () => {
    const { call } = serve()
    const token = await login.token({ sub: 'app' })
    expect(await textOf(await call('job', {}, token))).toBe('client')
    expect((await call('whoami', {}, token)).status).toBe(403)
  })

  it('accepts the audience the issuer knows it by', async () => {
    const { call } = serve({ audience: 'api://notes' })
    expect((await call('whoami', {}, await login.token({ aud: 'api://notes' }))).status).toBe(200)
    expect((await call('whoami', {}, await login.token())).status).toBe(401)
  })

  it('asks the issuer about tokens that are no JWT, when it was given credentials', async () => {
    login.opaque.set('opaque', { active: true, sub: 'ada', client_id: 'app', aud: `${origin}/mcp` })
    const { call } = serve({ introspection: { clientId: 'rs', clientSecret: 'secret' } })
    expect((await call('whoami', {}, 'opaque')).status).toBe(200)
    expect((await call('whoami', {}, 'other')).status).toBe(401)
    expect((await serve().call('whoami', {}, 'opaque')).status).toBe(401)
  })
})

describe('the start', () => {
  const onAnyPort = (options: { issuer: string | ExternalIssuer }) => {
    const server = createServer({ ...settings(), port: 0, ...options })
    closing.push(() => server.close())
    server.tool('whoami', { description: 'd', auth: {}, run: () => 'ok' })
    return server
  }

  it.each<[string, () => void, RegExp]>([
    ['another issuer', () => Object.assign(login.state.metadata, { issuer: `${issuer}/` }), /another issuer/],
    ['nobody', () => Object.assign(login.state, { metadata: undefined }), /no authorization server metadata/],
  ])('says in one sentence that there is %s at the address', async (_, change, sentence) => {
    change()
    const started = startOf(onAnyPort({ issuer: { issuer, fetch: login.fetch } }))
    await expect(started).rejects.toThrow(ConfigurationError)
    await expect(started).rejects.toThrow(sentence)
  })

  it.each(['http://login.example.com', 'login.example.com', ''])('refuses the address %j', async address => {
    await expect(startOf(onAnyPort({ issuer: address }))).rejects.toThrow(/issuer must be the https URL/)
  })

  it('goes on without an issuer that is down: a warning, 503 for each call, and no more once it is back', async () => {
    login.state.down = true
    const { server, call } = serve()
    await server.fetch(new Request(`${origin}/health`))
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 40, msg: expect.stringContaining('cannot be reached') }),
    )
    const token = await login.token()
    const refused = await call('whoami', {}, token)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, expect.any(String)])
    login.state.down = false
    now += 60
    expect((await call('whoami', {}, token)).status).toBe(200)
  })

  it('an issuer that comes back as another one opens nothing, and the log says why', async () => {
    login.state.down = true
    const { server, call } = serve()
    await server.fetch(new Request(`${origin}/health`))
    login.state.down = false
    login.state.metadata.issuer = 'https://other.example.com'
    now += 60
    expect((await call('whoami', {}, await login.token())).status).toBe(503)
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 50, msg: expect.stringContaining('of another issuer') }),
    )
  })

  it('refuses itself as the issuer', async () => {
    const server = createServer({ ...settings(), issuer: origin })
    await expect(server.fetch(new Request(origin))).rejects.toThrow(/issuer is the address of this server/)
  })

  it.each([
    ['clients', { clients: [] }],
    ['scopes', { scopes: { 'notes:read': 'Read your notes' } }],
    ['dynamicRegistration', { dynamicRegistration: false }],
  ])('refuses the option %s, which would do nothing', async (name, option) => {
    const server = createServer({ ...settings(), issuer, ...option })
    await expect(server.fetch(new Request(origin))).rejects.toThrow(`The option ${name} has no effect`)
  })

  it('refuses the development sign-in, which knows none of the issuer’s users', async () => {
    const server = createServer({ ...settings(), issuer, signIn: developmentSignIn() })
    await expect(server.fetch(new Request(origin))).rejects.toThrow(/knows none of the users/)
  })

  it('refuses a tool that needs a provider where nothing keeps connections', async () => {
    const google = fakeProvider('google').provider
    const server = createServer({ ...settings(), issuer, providers: [google] })
    // What decorators bring, no compiler sees.
    server.tool('events', { description: 'd', auth: { google: [] } as object, run: () => '' })
    await expect(server.fetch(new Request(origin))).rejects.toThrow(
      /^Tool "events" needs provider "google", and with issuer alone nothing keeps .* give createServer the option signIn too/,
    )
  })

  it('says what is missing where a tool is protected and nobody vouches for callers', async () => {
    const server = createServer(settings())
    server.tool('whoami', { description: 'd', auth: {} as never, run: () => '' })
    await expect(server.fetch(new Request(origin))).rejects.toThrow(/the option signIn, or issuer\.$/)
  })
})

describe('connections of the issuer’s users', () => {
  function serveConnections() {
    // Its login says `https://login.example` unless the test says otherwise.
    const corp = fakeProvider('login')
    const google = fakeProvider('google')
    const finish = corp.connected.login.finish
    corp.connected.login.finish = async callback => ({ ...(await finish(callback)), issuer })
    const server = createServer({
      ...settings(),
      issuer: { issuer, fetch: login.fetch },
      signIn: corp.provider,
      providers: [google.provider],
    })
    closing.push(() => server.close())
    server.tool('whoami', { description: 'd', auth: {}, run: (_, { caller }) => caller.userId })
    server.tool('events', {
      description: 'd',
      auth: { google: ['calendar'] },
      run: async (_, { fetch, token }) => {
        await token()
        return (await fetch('https://google.example/events')).text()
      },
    })
    google.connected.token = async userId => {
      if (google.connections.has(userId)) return { value: 'external', expiresAt: 0, scopes: [] }
      throw new ConnectionRequiredError('google', 'not_connected', ['calendar'])
    }
    const request = (request: Request) => server.fetch(request)
    const client = createTestClient(request, origin)
    /** The user opens the link, and is `who` at both providers. */
    const follow = async (link: string, who: string) => {
      const browser = createTestClient(request, origin)
      let page = await browser.browse(link)
      page = await browser.submit(page, {})
      for (let trips = 0; trips < 3 && page.html === undefined; trips++) {
        const back = new URL(page.url.searchParams.get('redirect_uri') ?? '')
        back.search = new URLSearchParams({
          state: page.url.searchParams.get('state') ?? '',
          code: who,
        }).toString()
        page = await browser.browse(back.href)
      }
      return page.html ?? ''
    }
    const linkOf = async (token: string) =>
      /http:\/\/localhost:3000\/oauth\/connect\/\S+/.exec(
        (await textOf(await client.call('events', {}, token))) ?? '',
      )?.[0] ?? ''
    return { server, client, google, follow, linkOf }
  }

  it('are made through the link a tool gives, by the user the token speaks for', async () => {
    const { client, google, follow, linkOf } = serveConnections()
    const token = await login.token()
    const userId = await textOf(await client.call('whoami', {}, token))
    expect(await follow(await linkOf(token), 'ada')).toContain('Connected')
    expect([...google.connections.keys()]).toEqual([userId])
    expect(await textOf(await client.call('events', {}, token))).toBe('{"via":"google"}')
    expect(await textOf(await client.call('whoami', {}, await login.token({ jti: 'next' })))).toBe(userId)
  })

  it('R80: are not made for anybody else who opens the link', async () => {
    const { google, follow, linkOf } = serveConnections()
    expect(await follow(await linkOf(await login.token()), 'mallory')).not.toContain('<h1>Connected')
    expect(google.connections.size).toBe(0)
  })

  it('R109: a disabled user calls nothing', async () => {
    const { server, client } = serveConnections()
    const userId = await textOf(await client.call('whoami', {}, await login.token()))
    await server.admin.disableUser(userId ?? '')
    expect((await client.call('whoami', {}, await login.token({ jti: 'next' }))).status).toBe(401)
  })

  it('R13: bring the pages they need and nothing else of an authorization server', async () => {
    const { server } = serveConnections()
    const status = async (path: string) => (await server.fetch(new Request(origin + path))).status
    expect(await status('/account')).toBe(200)
    expect(await status('/oauth/connect/google')).toBe(403)
    expect(await status('/oauth/callback/login')).toBe(403)
    for (const path of ['/oauth/authorize', '/oauth/jwks', '/.well-known/oauth-authorization-server']) {
      expect(await status(path)).toBe(404)
    }
    const metadata = await server.fetch(new Request(`${origin}/.well-known/oauth-protected-resource/mcp`))
    expect(await metadata.json()).toMatchObject({ authorization_servers: [issuer] })
  })
})
