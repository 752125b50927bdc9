import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createServer } from '../create-server.ts'
import { createTestClient, testSignIn } from '../sign-in.fixture.ts'
import type { ToolUi } from './tool-ui.ts'

const origin = 'http://localhost:3000'
const mimeType = 'text/html;profile=mcp-app'
const views = { extensions: { 'io.modelcontextprotocol/ui': { mimeTypes: [mimeType] } } }

const opened: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.close()
})

function setUp() {
  const server = createServer({
    name: 'boards',
    version: '1.0.0',
    ...testSignIn(),
    scopes: { admin: 'Everything' },
  })
  opened.push(server)
  server.tool('board', {
    description: 'Your board',
    auth: {},
    output: z.object({ owner: z.string() }),
    ui: {
      html: '<p>board</p>',
      csp: { resourceDomains: ['https://cdn.example.com'], connectDomains: ['wss://*.example.com'] },
      permissions: ['clipboardWrite'],
      prefersBorder: true,
    },
    run: (_, { caller }) => ({ owner: caller.userId }),
  })
  server.tool('move', {
    description: 'Moves a card',
    auth: {},
    ui: { uri: 'ui://board/view', visibility: ['app'] },
    run: () => 'moved',
  })
  server.tool('chart', {
    description: 'A chart',
    ui: 'ui://charts/bar',
    run: (_, { clientCan }) => `${clientCan.ui}`,
  })
  server.resource('ui://charts/bar', { mimeType, run: () => '<p>chart</p>' })
  server.tool('audit', {
    description: 'All boards',
    auth: { scopes: ['admin'], hidden: true },
    ui: { html: async () => '<p>audit</p>' },
    run: () => 'all',
  })
  const client = createTestClient(request => server.fetch(request), origin)
  const signIn = (as: { name?: string; scope?: string } = {}) => client.signIn(as)
  const connect = async (token?: unknown, capabilities: object = views) => {
    const client = new Client(
      { name: 'host', version: '1' },
      { versionNegotiation: { mode: { pin: '2026-07-28' } }, capabilities },
    )
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), {
        fetch: (url, init) => server.fetch(new Request(url, init)),
        ...(token !== undefined && { requestInit: { headers: { authorization: `Bearer ${token}` } } }),
      }),
    )
    opened.push(client)
    return client
  }
  return { server, signIn, connect }
}

const listedBy = async (client: Client) => (await client.listTools()).tools.map(({ name }) => name)

describe('a tool with a view', () => {
  it('names the view, which says where it may reach, in the list and where it is read', async () => {
    const { connect } = setUp()
    const client = await connect()
    const { tools } = await client.listTools()
    const metaOf = (name: string) => tools.find(tool => tool.name === name)?._meta
    expect(metaOf('board')).toEqual({ ui: { resourceUri: 'ui://board/view' } })
    expect(metaOf('move')).toEqual({ ui: { resourceUri: 'ui://board/view', visibility: ['app'] } })
    const ui = {
      csp: { resourceDomains: ['https://cdn.example.com'], connectDomains: ['wss://*.example.com'] },
      permissions: { clipboardWrite: {} },
      prefersBorder: true,
    }
    const { resources } = await client.listResources()
    expect(resources.find(({ uri }) => uri === 'ui://board/view')).toMatchObject({ mimeType, _meta: { ui } })
    expect(await client.readResource({ uri: 'ui://board/view' })).toMatchObject({
      contents: [{ uri: 'ui://board/view', mimeType, text: '<p>board</p>', _meta: { ui } }],
      ttlMs: 3_600_000,
      cacheScope: 'public',
    })
    expect(client.getServerCapabilities()?.extensions).toEqual({ 'io.modelcontextprotocol/ui': {} })
  })

  it('R199: the view is the same for everybody; what is the user’s is in their result alone', async () => {
    const { signIn, connect } = setUp()
    const seen = []
    for (const name of ['ada', 'eve']) {
      const { access_token: token } = await signIn({ name })
      const client = await connect(token)
      const page = await client.readResource({ uri: 'ui://board/view' })
      expect(page).toMatchObject({ cacheScope: 'private' })
      const { structuredContent } = await client.callTool({ name: 'board' })
      seen.push({ page: page.contents, owner: (structuredContent as { owner: string }).owner })
    }
    const [ada, eve] = seen
    expect(ada!.page).toEqual(eve!.page)
    expect(ada!.owner).not.toBe(eve!.owner)
    expect(JSON.stringify(ada!.page)).not.toContain(ada!.owner)
  })

  it('R156: the view of a hidden tool is as hidden as the tool', async () => {
    const { signIn, connect } = setUp()
    const nobody = await connect()
    expect(JSON.stringify(await nobody.listResources())).not.toContain('audit')
    await expect(nobody.readResource({ uri: 'ui://audit/view' })).rejects.toThrow(/not found/i)
    const { access_token: token } = await signIn({ scope: 'admin' })
    expect(await (await connect(token)).readResource({ uri: 'ui://audit/view' })).toMatchObject({
      contents: [{ text: '<p>audit</p>' }],
      cacheScope: 'private',
    })
  })

  it('a tool for views alone is not listed to a client that says it shows none, and works all the same', async () => {
    const { signIn, connect } = setUp()
    const { access_token: token } = await signIn()
    expect(await listedBy(await connect(token))).toContain('move')
    const plain = await connect(token, {})
    expect(await listedBy(plain)).not.toContain('move')
    expect(
      await listedBy(
        await connect(token, { extensions: { 'io.modelcontextprotocol/ui': { mimeTypes: ['image/x'] } } }),
      ),
    ).not.toContain('move')
    expect(await plain.callTool({ name: 'move' })).toMatchObject({ content: [{ text: 'moved' }] })
  })

  it('learns whether its result will be shown', async () => {
    const { connect } = setUp()
    expect(await (await connect()).callTool({ name: 'chart' })).toMatchObject({ content: [{ text: 'true' }] })
    expect(await (await connect(undefined, {})).callTool({ name: 'chart' })).toMatchObject({
      content: [{ text: 'false' }],
    })
  })
})

describe('what cannot be shown is said at start', () => {
  it.each<[string, string | ToolUi, RegExp]>([
    ['neither page nor uri', {}, /must have html, or the uri/],
    ['another scheme', 'https://example.com', /must be one of ui:/],
    ['no page', { html: 5 as unknown as string }, /must be a page/],
    [
      'a source that ends the directive',
      { html: 'x', csp: { connectDomains: ["https://a; script-src 'x'"] } },
      /connectDomains/,
    ],
    ['a keyword for a source', { html: 'x', csp: { resourceDomains: ["'unsafe-eval'"] } }, /resourceDomains/],
    ['an unknown permission', { html: 'x', permissions: ['usb' as 'camera'] }, /permissions/],
    ['nobody to call it', { html: 'x', visibility: [] }, /visibility/],
  ])('%s', (_, ui, message) => {
    const { server } = setUp()
    expect(() => server.tool('bad', { description: 'd', ui, run: () => 'x' })).toThrow(message)
  })

  it('a view named twice, or two pages of one address', () => {
    const { server } = setUp()
    const ui = { html: 'x' }
    expect(() => server.tool('bad', { description: 'd', ui, _meta: { ui: {} }, run: () => 'x' })).toThrow(
      /named twice/,
    )
    expect(() =>
      server.tool('bad', { description: 'd', ui: { ...ui, uri: 'ui://board/view' }, run: () => 'x' }),
    ).toThrow(/is there twice/)
  })

  it.each([
    ['a view that is not there', 'ui://none', /no such resource/],
    ['a resource that is no view', 'ui://text', /mimeType must be/],
  ])('%s', async (_, ui, message) => {
    const { server } = setUp()
    server.resource('ui://text', { mimeType: 'text/html', run: () => 'x' })
    server.tool('bad', { description: 'd', ui, run: () => 'x' })
    await expect(server.fetch(new Request(`${origin}/health`))).rejects.toThrow(message)
  })
})
