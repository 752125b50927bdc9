import type { CallToolResult, ServerEvent } from '@modelcontextprotocol/server'
import { developmentSignIn } from '@sallyport/oauth'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { closesAfterEach } from '../closing.fixture.ts'
import { content } from '../content/content.ts'
import { createServer } from '../create-server.ts'
import { fakeProvider } from '../provider.fixture.ts'
import type { AnyServer } from '../server.ts'
import { partsOf } from '../server-parts.ts'
import { eras } from '../testing/test-caller.ts'
import { createTestServer } from '../testing/test-server.ts'
import { prefixUri, withoutPrefix } from './prefix.ts'

const quiet = {
  name: 'outer',
  version: '1.0.0',
  environment: {},
  logLevel: 'silent',
  port: 3000,
  secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
} as const
const track = closesAfterEach()
const test = async (server: AnyServer) => track(await createTestServer(server))
const start = (server: { start(options: object): Promise<void> }) =>
  server.start({ transport: 'mounted', throwOnError: true })
const text = (result: unknown) => (result as CallToolResult).content.map(block => Object(block).text).join()

function notes() {
  const server = createServer({ ...quiet, name: 'notes', signIn: developmentSignIn() })
  const add = server.tool('add', {
    description: 'Adds',
    input: z.object({ text: z.string() }),
    auth: { scopes: ['notes:write'] },
    run: ({ text }, { caller }) => `${caller.userId} ${text}`,
  })
  server.tool('find', {
    description: 'Finds',
    run: () => [
      { type: 'resource_link', uri: 'notes://one/7', name: 'Seven' },
      content.resource('https://example.com/x', 'elsewhere'),
    ],
  })
  server.resource('notes://all', { run: () => 'all of them' })
  server.resource('notes://one/{id}', {
    name: 'note',
    auth: { anonymous: true },
    list: () => [{ uri: 'notes://one/7', name: 'Seven' }],
    complete: { id: () => ['7', '8'] },
    run: ({ id }) => ({ contents: [{ uri: `notes://one/${id}`, text: `note ${id}` }] }),
  })
  server.prompt('review', {
    description: 'Reviews',
    input: z.object({ tone: z.string() }),
    complete: { tone: () => ['kind'] },
    run: () => ['Review.', content.resource('notes://all', 'all of them')],
  })
  return { server, add }
}
const outer = () => createServer({ ...quiet, signIn: developmentSignIn() })

describe.each(eras)('what a mounted server offers a %s client', era => {
  it('is listed and found under its prefix: tools, resources, templates, prompts and completions', async () => {
    const server = outer()
    server.tool('own', { description: 'd', run: () => 'own' })
    server.mount('office', notes().server)
    const client = await (await test(server)).asNobody().connect({ era })
    const { tools } = await client.listTools()
    expect(tools.map(({ name }) => name)).toEqual(['own', 'office_add', 'office_find'])
    expect((await client.listResources()).resources).toMatchObject([
      { uri: 'notes://office/all', name: 'notes://office/all' },
      { uri: 'notes://office/one/7', name: 'Seven' },
    ])
    expect((await client.listResourceTemplates()).resourceTemplates).toMatchObject([
      { uriTemplate: 'notes://office/one/{id}', name: 'note' },
    ])
    expect((await client.listPrompts()).prompts).toMatchObject([
      { name: 'office_review', arguments: [{ name: 'tone', required: true }] },
    ])
    const read = async (uri: string) => (await client.readResource({ uri })).contents
    expect(await read('notes://office/all')).toMatchObject([
      { uri: 'notes://office/all', text: 'all of them' },
    ])
    expect(await read('notes://office/one/8')).toMatchObject([
      { uri: 'notes://office/one/8', text: 'note 8' },
    ])
    await expect(read('notes://all')).rejects.toMatchObject({ code: -32602 })
    const values = async (ref: Parameters<typeof client.complete>[0]['ref'], name: string) =>
      (await client.complete({ ref, argument: { name, value: '' } })).completion.values
    expect(await values({ type: 'ref/resource', uri: 'notes://office/one/{id}' }, 'id')).toEqual(['7', '8'])
    expect(await values({ type: 'ref/prompt', name: 'office_review' }, 'tone')).toEqual(['kind'])
  })

  it('points to its resources where the client finds them, and to others where they are', async () => {
    const server = outer()
    server.mount('office', notes().server)
    const client = await (await test(server)).asNobody().connect({ era })
    expect((await client.callTool({ name: 'office_find', arguments: {} })).content).toMatchObject([
      { type: 'resource_link', uri: 'notes://office/one/7' },
      { type: 'resource', resource: { uri: 'https://example.com/x' } },
    ])
    const { messages } = await client.getPrompt({ name: 'office_review', arguments: { tone: 'kind' } })
    expect(messages).toMatchObject([{}, { content: { resource: { uri: 'notes://office/all' } } }])
  })

  it('asks for what it asks by itself: sign-in, and the scopes it names', async () => {
    const server = outer()
    server.mount('office', notes().server)
    const kit = await test(server)
    const call = { name: 'office_add', arguments: { text: 'tea' } }
    expect((await kit.asNobody().request('tools/call', call, era)).status).toBe(401)
    const narrow = await (await kit.asUser({ sub: 'ada' })).request('tools/call', call, era)
    expect(narrow.status).toBe(403)
    expect(narrow.headers.get('www-authenticate')).toContain('scope="notes:write"')
    const ada = await kit.asUser({ sub: 'ada', scopes: ['notes:write'] })
    expect(text(await (await ada.connect({ era })).callTool(call))).toBe(`${ada.userId} tea`)
    expect(kit.events.filter(({ type }) => type === 'tool_called')).toMatchObject([{ tool: 'office_add' }])
  })

  it('runs its middleware inside of that of the server it is mounted on, each with its own names', async () => {
    const seen: string[] = []
    const { server: inner } = notes()
    inner.use({ kind: 'tool', name: 'find' }, (call, next) => {
      seen.push(`inner ${call.name}`)
      return next()
    })
    const middle = createServer(quiet)
    middle.mount('notes', inner)
    const server = outer()
    server.mount('office', middle)
    server.use({ kind: 'tool', name: 'office_*' }, (call, next) => {
      seen.push(`outer ${call.name}`)
      return next()
    })
    const client = await (await test(server)).asNobody().connect({ era })
    const { content } = await client.callTool({ name: 'office_notes_find', arguments: {} })
    expect(seen).toEqual(['outer office_notes_find', 'inner find'])
    expect(content[0]).toMatchObject({ uri: 'notes://office/notes/one/7' })
  })
})

describe('a mounted server that changes', () => {
  it('tells the clients of the server it is mounted on, under the names they know', async () => {
    const { server: inner, add } = notes()
    const server = outer()
    server.mount('office', inner)
    const heard: ServerEvent[] = []
    partsOf(server)?.changes.subscribe(event => heard.push(event))
    const client = await (await test(server)).asNobody().connect()
    const names = async () => (await client.listTools()).tools.map(({ name }) => name)
    expect(await names()).toEqual(['office_add', 'office_find'])
    add.disable()
    expect(await names()).toEqual(['office_find'])
    add.enable()
    expect(await names()).toEqual(['office_add', 'office_find'])
    inner.notify.resourceUpdated('notes://all')
    expect(heard).toEqual([
      { kind: 'tools_list_changed' },
      { kind: 'tools_list_changed' },
      { kind: 'resource_updated', uri: 'notes://office/all' },
    ])
  })

  it('brings what was added to it after it was mounted, and nothing once calls have begun', async () => {
    const { server: inner } = notes()
    const server = outer()
    server.mount('office', inner)
    inner.tool('late', { description: 'd', run: () => 'late' })
    const client = await (await test(server)).asNobody().connect()
    expect(text(await client.callTool({ name: 'office_late', arguments: {} }))).toBe('late')
    expect(() => inner.tool('later', { description: 'd', run: () => '' })).toThrow(/too late/)
    expect(() => server.mount('again', notes().server)).toThrow(/too late/)
  })
})

describe('what mounted servers need', () => {
  it('comes along: providers, and words and rules of scopes', async () => {
    const google = fakeProvider('google')
    const inner = createServer({
      ...quiet,
      signIn: google.provider,
      scopes: { 'days:write': 'Change your days', 'days:read': 'See your days' },
      scopeHierarchy: { 'days:write': ['days:read'] },
    })
    inner.tool('day', {
      description: 'd',
      auth: { scopes: ['days:read'], google: ['calendar'] },
      run: async (_, { token }) => (await token()).scopes.join(),
    })
    const server = outer()
    server.mount('calendar', inner)
    const kit = await test(server)
    const ada = await kit.asUser({ sub: 'ada', scopes: ['days:write'] })
    const client = await ada.connect()
    expect(text(await client.callTool({ name: 'calendar_day', arguments: {} }))).toContain('calendar')
  })

  it.each<[string, object, object]>([
    ['scopes', { scopes: { a: 'Read' } }, { scopes: { a: 'Write' } }],
    ['scopeHierarchy', { scopeHierarchy: { a: ['b'] } }, { scopeHierarchy: { a: ['c'] } }],
    [
      'scopeLifetimes',
      { scopeLifetimes: { a: { accessTokenSeconds: 60 } } },
      { scopeLifetimes: { a: { accessTokenSeconds: 90 } } },
    ],
  ])('stops the start in one sentence where the two contradict each other: %s', async (name, here, there) => {
    const server = createServer({ ...quiet, signIn: developmentSignIn(), ...here })
    server.mount('office', createServer({ ...quiet, ...there }))
    await expect(start(server)).rejects.toThrow(
      new RegExp(
        `^${name} says .+ of "a", and the server mounted at "office" says .+: make them say the same.$`,
      ),
    )
  })

  it('is missed at start: sign-in', async () => {
    const server = createServer(quiet)
    server.mount('office', notes().server)
    await expect(start(server)).rejects.toThrow(
      'Tool "office_add" requires auth, but the server has no sign-in',
    )
  })

  it('cannot clash, nor be too long, nor be itself', async () => {
    const clash = outer()
    clash.tool('office_add', { description: 'd', run: () => '' })
    clash.mount('office', notes().server)
    await expect(start(clash)).rejects.toThrow('two tools named "office_add"')
    const long = createServer(quiet)
    long.tool('x'.repeat(60), { description: 'd', run: () => '' })
    const longer = outer()
    longer.mount('office', long)
    await expect(start(longer)).rejects.toThrow('longer than 64')
    const [a, b] = [outer(), outer()]
    a.mount('b', b)
    expect(() => b.mount('a', a)).toThrow('mounted on itself')
    expect(() => a.mount('a', a)).toThrow('mounted on itself')
    expect(() => a.mount('no spaces', b)).toThrow('The prefix of server.mount must be')
    expect(() => a.mount('x', {} as never)).toThrow('that createServer made')
  })
})

describe('URIs under a prefix', () => {
  it.each([
    ['notes://all', 'notes://office/all'],
    ['notes://{+path}', 'notes://office/{+path}'],
    ['config:app', 'config:office/app'],
    ['https://example.com/x?y#z', 'https://office/example.com/x?y#z'],
    ['file:///a/b', 'file://office//a/b'],
  ])('%s is %s', (uri, prefixed) => {
    expect(prefixUri('office', uri)).toBe(prefixed)
    expect(withoutPrefix('office', prefixed)).toBe(uri)
    expect(withoutPrefix('offic', prefixed)).toBeUndefined()
  })

  it('come back as they were, whatever they are', () => {
    const uri = fc.webUrl({ withFragments: true, withQueryParameters: true })
    const prefix = fc.stringMatching(/^[A-Za-z0-9]{1,32}$/)
    fc.assert(
      fc.property(prefix, uri, (p, u) => {
        expect(withoutPrefix(p, prefixUri(p, u))).toBe(u)
      }),
    )
  })
})
