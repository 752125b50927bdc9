import { developmentSignIn, type PageLogin } from '@sallyport/oauth'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createServer } from '../create-server.ts'
import type { Provider } from '../provider.ts'
import { assertConnectLink, assertScopesRequired, assertSignInRequired } from './assertions.ts'
import { fakeProvider } from './fake-provider.ts'
import { eras } from './test-caller.ts'
import { createTestServer, type TestServer, type TestServerOptions } from './test-server.ts'

/** A provider that a test must never reach. */
const unreachable = <const Id extends string>(id: Id): Provider<Id> => ({
  id,
  label: `Real ${id}`,
  connect() {
    throw new Error('the real provider was connected')
  },
})

/** A page of the application's own. */
const developmentPage: PageLogin = {
  kind: 'page',
  id: 'page',
  label: 'Our page',
  handle: async () => new Response('never shown'),
}

function notebook() {
  const server = createServer({
    name: 'notebook',
    version: '1.0.0',
    signIn: unreachable('google'),
    providers: [unreachable('drive')],
    // What a deployment has: none of it may matter to a test.
    publicUrl: 'https://notebook.example.com',
    secrets: 'too short',
    audit: { path: '/nowhere/audit.log' },
    sessionProvider: 'redis',
    redisUrl: 'redis://127.0.0.1:1',
    lifetimes: { accessTokenSeconds: 60, refreshTokenSeconds: 3600 },
    clients: [
      {
        clientId: 'nightly',
        jwks: { keys: [] },
        grantTypes: ['client_credentials'],
        scopes: ['jobs:run', 'notes:read'],
      },
    ],
    scopes: {
      'notes:write': 'Add notes',
      'notes:read': 'Read notes',
      'jobs:run': 'Run jobs',
      files: 'Read files',
    },
  })
  server.tool('add', {
    description: 'Adds',
    input: z.object({ a: z.number(), b: z.number() }),
    run: ({ a, b }) => `${a + b}`,
  })
  server.tool('whoami', {
    description: 'Names you',
    auth: {},
    run: (_, { caller }) => `${caller.userId} through ${caller.clientId}`,
  })
  server.tool('add-note', {
    description: 'Adds a note',
    input: z.object({ text: z.string() }),
    auth: { scopes: ['notes:write', 'notes:read'] },
    run: ({ text }) => `noted: ${text}`,
  })
  server.tool('run-job', {
    description: 'Runs a job',
    auth: { scopes: ['jobs:run'], clients: true },
    run: (_, { caller }) => `for ${caller.principal} ${caller.clientId}`,
  })
  server.tool('events', {
    description: 'Events',
    auth: { google: ['calendar'] },
    run: async (_, { fetch }) => (await fetch('https://www.googleapis.com/events')).text(),
  })
  server.tool('files', {
    description: 'Files',
    auth: { scopes: ['files'], drive: ['read'] },
    run: async (_, { fetch }) => (await fetch('https://drive.example/files')).text(),
  })
  server.tool('fail', {
    description: 'Fails',
    run: () => {
      throw new Error('the reason')
    },
  })
  server.resource('notebook://rules', { description: 'Rules', run: () => 'Be kind.' })
  server.resource('notebook://notes/{id}', {
    name: 'note',
    description: 'A note',
    auth: { scopes: ['notes:read'] },
    run: ({ id }) => `note ${id}`,
  })
  server.prompt('review', { description: 'Reviews', run: () => 'Review my notes.' })
  server.app.get('/hello/:name', c => c.text(`hello ${c.req.param('name')}`))
  return server
}

const open: TestServer[] = []
afterEach(async () => {
  for (const test of open.splice(0)) await test.close()
})

function testNotebook(options: TestServerOptions = {}): TestServer {
  const test = createTestServer(notebook(), options)
  open.push(test)
  return test
}

const text = (value: string) => ({ content: [{ type: 'text', text: value }] })

describe.each(eras)('a client of %s', era => {
  it('lists and calls the tools of a server that does not listen', async () => {
    const client = await testNotebook().asNobody().connect({ era })
    expect(client.getNegotiatedProtocolVersion()).toBe(era)
    expect((await client.listTools()).tools).toHaveLength(7)
    expect(await client.callTool({ name: 'add', arguments: { a: 2, b: 3 } })).toMatchObject(text('5'))
    expect(await client.callTool({ name: 'add', arguments: { a: '2', b: 3 } })).toMatchObject({
      isError: true,
    })
  })

  it('of a user has a real token of the scopes the test names; the same sub is the same user', async () => {
    const test = testNotebook()
    const ada = await test.asUser({ sub: 'ada', scopes: ['notes:write', 'notes:read'] })
    const again = await test.asUser({ sub: 'ada' })
    const bob = await test.asUser({ sub: 'bob' })
    expect(ada.scopes).toEqual(['notes:write', 'notes:read'])
    expect(again.scopes).toEqual(['mcp'])
    expect(again.userId).toBe(ada.userId)
    expect(bob.userId).not.toBe(ada.userId)
    const client = await ada.connect({ era })
    expect(await client.callTool({ name: 'whoami', arguments: {} })).toMatchObject(
      text(`${ada.userId} through test-client`),
    )
    expect(await client.callTool({ name: 'add-note', arguments: { text: 'milk' } })).toMatchObject(
      text('noted: milk'),
    )
    expect(test.events).toContainEqual(expect.objectContaining({ type: 'tool_called', userId: ada.userId }))
  })

  it('is challenged as a real one is, and the challenge can be asserted', async () => {
    const test = testNotebook()
    const nobody = await test.asNobody().connect({ era })
    await assertSignInRequired(nobody.callTool({ name: 'whoami', arguments: {} }), { scopes: ['mcp'] })
    const ada = await (await test.asUser({ sub: 'ada', scopes: ['notes:read'] })).connect({ era })
    const refused = ada.callTool({ name: 'add-note', arguments: { text: 'x' } })
    const challenge = await assertScopesRequired(refused, { scopes: ['notes:read', 'notes:write'] })
    expect(challenge.resourceMetadata).toBe(
      'https://notebook.example.com/.well-known/oauth-protected-resource/mcp',
    )
  })

  it('goes on when its token ends, until the session does', async () => {
    const test = testNotebook()
    const ada = await test.asUser({ sub: 'ada' })
    const client = await ada.connect({ era })
    const first = ada.token
    test.clock.advance(61)
    expect(await client.callTool({ name: 'whoami', arguments: {} })).toMatchObject(
      text(`${ada.userId} through test-client`),
    )
    expect(ada.token).not.toBe(first)
    test.clock.advance(3601)
    await assertSignInRequired(client.callTool({ name: 'whoami', arguments: {} }), { error: 'invalid_token' })
  })

  it('gets the link to connect, and the call works once the user has followed it', async () => {
    const google = fakeProvider('google', { api: () => new Response('stand-up') })
    const ada = await testNotebook({ providers: [google] }).asUser({ sub: 'ada' })
    const client = await ada.connect({ era })
    const call = () => client.callTool({ name: 'events', arguments: {} })
    expect(await call()).toMatchObject(text('stand-up'))
    google.script('dead')
    const link = await assertConnectLink(call(), { provider: 'google' })
    expect(await ada.open(link)).toMatchObject({ status: 200 })
    expect(await call()).toMatchObject(text('stand-up'))
  })

  it('of a client by itself, with the server’s own configuration of it', async () => {
    const test = testNotebook()
    const nightly = await test.asClient({ clientId: 'nightly', scopes: ['jobs:run'] })
    expect([nightly.userId, nightly.scopes]).toEqual([undefined, ['jobs:run']])
    const client = await nightly.connect({ era })
    expect(await client.callTool({ name: 'run-job', arguments: {} })).toMatchObject(
      text('for client nightly'),
    )
  })

  it('that can open links is asked to, and the call goes on after that', async () => {
    const google = fakeProvider('google', { api: () => new Response('stand-up') })
    const ada = await testNotebook({ providers: [google] }).asUser({ sub: 'ada' })
    const client = await ada.connect({ era, capabilities: { elicitation: { url: {} } } })
    const opened: unknown[] = []
    client.setRequestHandler('elicitation/create', async ({ params }) => {
      const place = 'url' in params ? await ada.open(params.url) : undefined
      opened.push(place?.status)
      return { action: 'accept' }
    })
    google.script('missing_scope')
    expect(await client.callTool({ name: 'events', arguments: {} })).toMatchObject(text('stand-up'))
    expect(opened).toEqual([200])
  })

  it('reads resources and gets prompts, behind the same gate', async () => {
    const test = testNotebook()
    const nobody = await test.asNobody().connect({ era })
    expect((await nobody.readResource({ uri: 'notebook://rules' })).contents).toMatchObject([
      { text: 'Be kind.' },
    ])
    const read = (client: typeof nobody) => client.readResource({ uri: 'notebook://notes/1' })
    await assertSignInRequired(read(nobody), { scopes: ['notes:read'] })
    await assertScopesRequired(read(await (await test.asUser({ sub: 'ada' })).connect({ era })), {
      scopes: ['notes:read'],
    })
    const reader = await (await test.asUser({ sub: 'ada', scopes: ['notes:read'] })).connect({ era })
    expect((await read(reader)).contents).toMatchObject([{ text: 'note 1' }])
    const { messages } = await reader.getPrompt({ name: 'review' })
    expect(messages).toMatchObject([{ role: 'user', content: { text: 'Review my notes.' } }])
  })
})

describe.each(eras)('one request of a script, in %s', era => {
  it('goes through the gate as it stands', async () => {
    const test = testNotebook()
    const call = { name: 'whoami', arguments: {} }
    await assertSignInRequired(await test.asNobody().request('tools/call', call, era), { scopes: ['mcp'] })
    const ada = await test.asUser({ sub: 'ada' })
    const response = await ada.request('tools/call', call, era)
    expect([response.status, await response.text()]).toEqual([200, expect.stringContaining(ada.userId)])
  })
})

describe('a test server', () => {
  it('takes nothing of the deployment: not its environment, its store, its secrets nor its providers', async () => {
    const test = testNotebook()
    expect(test.url).toBe('https://notebook.example.com/mcp')
    await test.asUser({ sub: 'ada' })
    expect(test.provider('google').trips).toEqual([{ scopes: ['calendar'] }])
  })

  it('visits every provider that the scopes’ tools need', async () => {
    const test = testNotebook()
    const ada = await test.asUser({ sub: 'ada', scopes: ['mcp', 'files'] })
    expect(test.provider('drive').connections.get(ada.userId)).toEqual(['read'])
    expect(test.provider('google').connections.get(ada.userId)).toEqual(['calendar'])
  })

  it('shares nothing with another of the same server, and leaves that as it was', async () => {
    const original = notebook()
    const [one, other] = [createTestServer(original), createTestServer(original)]
    open.push(one, other)
    const ada = await one.asUser({ sub: 'ada' })
    const stranger = { authorization: `Bearer ${ada.token}`, 'content-type': 'application/json' }
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })
    const response = await other.fetch('/mcp', { method: 'POST', headers: stranger, body })
    await assertSignInRequired(response, { error: 'invalid_token' })
    expect(original.url).toBe('https://notebook.example.com/mcp')
    await original.close()
  })

  it('serves the routes that were added to the app', async () => {
    const response = await testNotebook().fetch('/hello/ada')
    expect([response.status, await response.text()]).toEqual([200, 'hello ada'])
    expect((await testNotebook().fetch('/hello')).status).toBe(404)
  })

  it('keeps the error behind a result that tells nothing', async () => {
    const test = testNotebook()
    const client = await test.asNobody().connect()
    expect(await client.callTool({ name: 'fail', arguments: {} })).toMatchObject({ isError: true })
    expect(test.logs).toContainEqual({
      level: 'error',
      message: 'tool failed',
      fields: { tool: 'fail', err: new Error('the reason') },
    })
  })

  it('tells its clients what the original tells', async () => {
    const original = notebook()
    const test = createTestServer(original)
    open.push(test)
    const client = await test.asNobody().connect()
    const updated = new Promise(resolve => {
      client.setNotificationHandler('notifications/resources/updated', ({ params }) => resolve(params.uri))
    })
    await client.listen({ resourceSubscriptions: ['notebook://rules'] })
    original.notify.resourceUpdated('notebook://rules')
    expect(await updated).toBe('notebook://rules')
  })

  it('takes options in place of those of the server', async () => {
    const test = testNotebook({ options: { challengeOnConnect: true, publicUrl: 'http://localhost:4000' } })
    expect(test.url).toBe('http://localhost:4000/mcp')
    await assertSignInRequired(test.asNobody().connect(), { scopes: ['mcp'] })
  })

  it('gives tokens in the form the server gives them', async () => {
    const test = testNotebook({ options: { accessTokenFormat: 'opaque' } })
    const ada = await test.asUser({ sub: 'ada' })
    expect(ada.token).toMatch(/^sp_at_/)
    const client = await ada.connect()
    expect((await client.callTool({ name: 'whoami', arguments: {} })).isError).toBeFalsy()
  })

  it('ends sessions as an administrator does', async () => {
    const test = testNotebook()
    const ada = await test.asUser({ sub: 'ada' })
    const client = await ada.connect()
    await test.server.admin.revokeUser(ada.userId)
    await assertSignInRequired(client.callTool({ name: 'whoami', arguments: {} }))
  })

  it.each(['close', Symbol.asyncDispose] as const)('%s closes the clients it connected', async close => {
    const test = testNotebook()
    const client = await test.asNobody().connect()
    let closed = false
    client.onclose = () => {
      closed = true
    }
    await test[close]()
    expect(closed).toBe(true)
  })
})

describe('how users sign in', () => {
  const withSignIn = (signIn: PageLogin, maxAgeSeconds?: number) => {
    const server = createServer({ name: 'n', version: '1', signIn, dynamicRegistration: false })
    server.tool('pay', {
      description: 'Pays',
      auth: { ...(maxAgeSeconds !== undefined && { maxAgeSeconds }) },
      run: (_, { caller }) => `${caller.authTime}`,
    })
    const test = createTestServer(server)
    open.push(test)
    return test
  }

  it('on a page of the application: the test says who it is, and the page is not shown', async () => {
    const test = withSignIn({
      kind: 'page',
      id: 'company',
      label: 'Company',
      handle: () => Promise.reject(new Error('the real page was opened')),
    })
    const client = await (await test.asUser({ sub: 'ada' })).connect()
    expect(await client.callTool({ name: 'pay', arguments: {} })).toMatchObject(text(`${test.clock()}`))
  })

  it('long ago, where a tool wants it to be recent', async () => {
    const test = withSignIn(developmentSignIn(), 300)
    const longAgo = await test.asUser({ sub: 'ada', authTime: test.clock() - 301 })
    const client = await longAgo.connect()
    await assertSignInRequired(client.callTool({ name: 'pay', arguments: {} }), {
      error: 'insufficient_user_authentication',
      maxAgeSeconds: 300,
    })
    const recent = await (await test.asUser({ sub: 'ada' })).connect()
    expect(await recent.callTool({ name: 'pay', arguments: {} })).toMatchObject(text(`${test.clock()}`))
  })
})

describe('what cannot work is one clear sentence', () => {
  it.each<[string, () => unknown, RegExp]>([
    [
      'something else than a server',
      () => createTestServer({ app: notebook().app, url: '' }),
      /takes a server that createServer made/,
    ],
    [
      'an option of another name, in whose place nothing would be faked',
      () => testNotebook({ provider: [fakeProvider('google')] } as never),
      /^createTestServer has "provider", which means nothing here: write "providers"\.$/,
    ],
    [
      'a fake for a provider the server does not have',
      () => testNotebook({ providers: [fakeProvider('gogle')] }),
      /no provider "gogle": it has google, drive\.$/,
    ],
    ['a provider nobody has', () => testNotebook().provider('x'), /no provider "x"/],
  ])('%s', (_, act, message) => {
    expect(act).toThrow(message)
  })

  it.each<[string, (test: TestServer) => Promise<unknown>, RegExp]>([
    [
      'a scope the server does not know',
      test => test.asUser({ sub: 'ada', scopes: ['mcp', 'notes:delete'] }),
      /^The server does not grant the scope notes:delete: no tool needs it/,
    ],
    [
      'a client that is not configured',
      test => test.asClient({ clientId: 'weekly' }),
      /^The server gave no token: /,
    ],
    [
      'a scope a client may not have',
      test => test.asClient({ clientId: 'nightly', scopes: ['mcp'] }),
      /^The server gave no token: The scope/,
    ],
    [
      'an era that never was',
      test => test.asNobody().connect({ era: '2025' as never }),
      /^There is no era "2025": there are 2025-11-25 and 2026-07-28\.$/,
    ],
    [
      'a disabled user',
      async test => {
        const ada = await test.asUser({ sub: 'ada' })
        await test.server.admin.disableUser(ada.userId)
        await test.asUser({ sub: 'ada' })
      },
      /^The server did not sign the user in: /,
    ],
  ])('%s', async (_, act, message) => {
    await expect(act(testNotebook())).rejects.toThrow(message)
  })

  it('a user of a server without sign-in', async () => {
    const server = createServer({ name: 'open', version: '1' })
    server.tool('ping', { description: 'Pings', run: () => 'pong' })
    const test = createTestServer(server)
    open.push(test)
    await expect(test.asUser({ sub: 'ada' })).rejects.toThrow(/no sign-in.*asNobody/)
    const client = await test.asNobody().connect()
    expect(await client.callTool({ name: 'ping', arguments: {} })).toMatchObject(text('pong'))
  })
})

describe('a server that trusts an issuer', () => {
  function withIssuer(more: Partial<Parameters<typeof createServer>[0]> = {}) {
    const server = createServer({
      name: 'trusting',
      version: '1.0.0',
      issuer: { issuer: 'https://login.example.com', audience: 'api://notes' },
      signIn: unreachable('google'),
      environment: { SALLYPORT_SECRET: 'too short' },
      ...more,
    })
    server.tool('hello', { description: 'Greets', run: () => 'hello' })
    server.tool('whoami', {
      description: 'Names you',
      auth: {},
      run: (_, { caller }) => `${caller.userId} ${caller.subject} of ${caller.issuer}`,
    })
    server.tool('read', { description: 'Reads', auth: { scopes: ['notes:read'] }, run: () => 'read' })
    server.tool('pay', { description: 'Pays', auth: { maxAgeSeconds: 60 }, run: () => 'paid' })
    server.tool('job', {
      description: 'Runs',
      auth: { clients: true },
      run: (_, { caller }) => `${caller.principal} ${caller.clientId}`,
    })
    return server
  }

  it.each(eras)('a %s client of a user gets tokens of the issuer, which the kit plays', async era => {
    await using test = createTestServer(withIssuer())
    const ada = await test.asUser({ sub: 'ada', scopes: ['notes:read'] })
    const client = await ada.connect({ era })
    expect(await client.callTool({ name: 'whoami' })).toMatchObject(
      text(`${ada.userId} ada of https://login.example.com`),
    )
    expect(await client.callTool({ name: 'read' })).toMatchObject(text('read'))
    const bob = await (await test.asUser({ sub: 'bob' })).connect({ era })
    await assertScopesRequired(bob.callTool({ name: 'read' }), { scopes: ['notes:read'] })
    const nobody = await test.asNobody().connect({ era })
    await assertSignInRequired(nobody.callTool({ name: 'read' }), { scopes: ['notes:read'] })
  })

  it('the same subject is the same user, and another is another', async () => {
    await using test = createTestServer(withIssuer())
    const [ada, again, bob] = [
      await test.asUser({ sub: 'ada' }),
      await test.asUser({ sub: 'ada' }),
      await test.asUser({ sub: 'bob' }),
    ]
    expect(again.userId).toBe(ada.userId)
    expect(bob.userId).not.toBe(ada.userId)
  })

  it('tokens end, are renewed, and say when their user authenticated', async () => {
    await using test = createTestServer(withIssuer())
    const ada = await test.asUser({ sub: 'ada', authTime: test.clock() - 61 })
    const client = await ada.connect()
    const first = ada.token
    await assertSignInRequired(client.callTool({ name: 'pay' }), { maxAgeSeconds: 60 })
    test.clock.advance(301)
    expect((await ada.request('tools/call', { name: 'whoami' })).status).toBe(401)
    expect(await client.callTool({ name: 'whoami' })).toMatchObject(text(expect.stringContaining('ada')))
    expect(ada.token).not.toBe(first)
  })

  it('a client by itself is one', async () => {
    await using test = createTestServer(withIssuer())
    const client = await (await test.asClient({ clientId: 'nightly' })).connect()
    expect(await client.callTool({ name: 'job' })).toMatchObject(text('client nightly'))
  })

  it('works without a sign-in of the server', async () => {
    const server = createServer({ name: 'bare', version: '1', issuer: 'https://login.example.com' })
    server.tool('whoami', { description: 'd', auth: {}, run: (_, { caller }) => caller.userId })
    await using test = createTestServer(server)
    const ada = await test.asUser({ sub: 'ada' })
    expect(await (await ada.connect()).callTool({ name: 'whoami' })).toMatchObject(text(ada.userId))
  })

  it.each([
    ['a provider', unreachable('google')],
    ['a page of the application', developmentPage],
  ])('its users connect a provider after a sign-in with %s', async (_, signIn) => {
    const server = createServer({
      name: 'connecting',
      version: '1.0.0',
      issuer: 'https://login.example.com',
      signIn,
      providers: [unreachable('drive')],
    })
    server.tool('files', {
      description: 'Files',
      auth: { drive: ['read'] },
      run: async (_, { fetch }) => (await fetch('https://drive.example/files')).text(),
    })
    const drive = fakeProvider('drive', { api: () => new Response('a file') })
    await using test = createTestServer(server, { providers: [drive] })
    const ada = await test.asUser({ sub: 'ada' })
    const client = await ada.connect()
    const link = await assertConnectLink(client.callTool({ name: 'files' }), { provider: 'drive' })
    await ada.open(link)
    expect(await client.callTool({ name: 'files' })).toMatchObject(text('a file'))
    expect(drive.requests.map(({ userId }) => userId)).toEqual([ada.userId])
  })
})
