import type { Client } from '@modelcontextprotocol/client'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { content } from './content/content.ts'
import { createServer } from './create-server.ts'
import { connectClient, eras } from './mcp-client.fixture.ts'
import { withJsonSchema } from './schemas/schema.ts'
import type { ServerOptions } from './server.ts'

const quiet = { name: 'library', version: '1.0.0', port: 3000, logLevel: 'silent', environment: {} } as const
const open: Pick<Client, 'close'>[] = []
afterEach(async () => {
  for (const client of open.splice(0)) await client.close()
})

const png = Uint8Array.of(137, 80, 78, 71)

function library(options: Partial<ServerOptions<undefined, readonly []>> = {}) {
  const server = createServer({ ...quiet, ...options })
  server.resource('library://rules', {
    title: 'House rules',
    mimeType: 'text/markdown',
    run: () => '# Quiet',
  })
  server.resource('library://logo', { mimeType: 'image/png', run: () => png })
  server.resource('library://books/{id}', {
    name: 'book',
    description: 'A book',
    list: () => [{ uri: 'library://books/1', name: 'Emma' }],
    complete: { id: typed => ['1', '12', '2'].filter(id => id.startsWith(typed)) },
    run: ({ id }, { request }) => (id === '404' ? undefined : { id, asked: request.params.uri }),
  })
  server.prompt('review', {
    description: 'Reviews a book',
    input: z.object({ book: z.string().describe('Which one'), tone: z.string().optional() }),
    complete: { tone: (_, { book }) => (book === 'Emma' ? ['kind'] : ['harsh', 'kind']) },
    run: ({ book, tone = 'plain' }) => [
      `Review ${book}, ${tone}.`,
      content.resource('library://rules', '# Quiet'),
      { role: 'assistant', content: 'Gladly.' },
    ],
  })
  return server
}

const connect = async (server: ReturnType<typeof library>, era: (typeof eras)[number][1]) => {
  const client = await connectClient('http://localhost:3000/mcp', era, (url, init) =>
    server.fetch(new Request(url, init)),
  )
  open.push(client)
  return client
}

describe.each(eras)('a client of revision %s', (name, era) => {
  it('lists and reads resources, text and bytes, by URI and by template', async () => {
    const client = await connect(library(), era)
    expect((await client.listResources()).resources).toMatchObject([
      { uri: 'library://rules', name: 'library://rules', title: 'House rules', mimeType: 'text/markdown' },
      { uri: 'library://logo', mimeType: 'image/png' },
      { uri: 'library://books/1', name: 'Emma' },
    ])
    expect((await client.listResourceTemplates()).resourceTemplates).toMatchObject([
      { uriTemplate: 'library://books/{id}', name: 'book', description: 'A book' },
    ])
    const read = async (uri: string) => (await client.readResource({ uri })).contents
    expect(await read('library://rules')).toEqual([
      { uri: 'library://rules', mimeType: 'text/markdown', text: '# Quiet' },
    ])
    expect(await read('library://logo')).toEqual([
      { uri: 'library://logo', mimeType: 'image/png', blob: 'iVBORw==' },
    ])
    expect(await read('library://books/a%20b')).toEqual([
      {
        uri: 'library://books/a%20b',
        mimeType: 'application/json',
        text: '{"id":"a b","asked":"library://books/a%20b"}',
      },
    ])
  })

  it('is told which resource there is not', async () => {
    const client = await connect(library(), era)
    for (const uri of ['library://nothing', 'library://books/404']) {
      await expect(client.readResource({ uri })).rejects.toMatchObject({ code: -32602, data: { uri } })
    }
  })

  it('lists and gets prompts, and is told which argument is wrong', async () => {
    const client = await connect(library(), era)
    expect((await client.listPrompts()).prompts).toMatchObject([
      {
        name: 'review',
        description: 'Reviews a book',
        arguments: [
          { name: 'book', description: 'Which one', required: true },
          { name: 'tone', required: false },
        ],
      },
    ])
    const { messages } = await client.getPrompt({ name: 'review', arguments: { book: 'Emma' } })
    expect(messages).toMatchObject([
      { role: 'user', content: { type: 'text', text: 'Review Emma, plain.' } },
      { role: 'user', content: { type: 'resource', resource: { uri: 'library://rules' } } },
      { role: 'assistant', content: { type: 'text', text: 'Gladly.' } },
    ])
    await expect(client.getPrompt({ name: 'review', arguments: {} })).rejects.toMatchObject({
      code: -32602,
      message: expect.stringContaining('book'),
    })
    await expect(client.getPrompt({ name: 'nothing' })).rejects.toMatchObject({ code: -32602 })
  })

  it('gets values while its user types', async () => {
    const client = await connect(library(), era)
    const ids = await client.complete({
      ref: { type: 'ref/resource', uri: 'library://books/{id}' },
      argument: { name: 'id', value: '1' },
    })
    expect(ids.completion).toMatchObject({ values: ['1', '12'], total: 2, hasMore: false })
    const tones = await client.complete({
      ref: { type: 'ref/prompt', name: 'review' },
      argument: { name: 'tone', value: '' },
      context: { arguments: { book: 'Emma' } },
    })
    expect(tones.completion.values).toEqual(['kind'])
    const none = await client.complete({
      ref: { type: 'ref/prompt', name: 'review' },
      argument: { name: 'book', value: '' },
    })
    expect(none.completion.values).toEqual([])
    await expect(
      client.complete({ ref: { type: 'ref/prompt', name: 'x' }, argument: { name: 'y', value: '' } }),
    ).rejects.toMatchObject({ code: -32602 })
  })

  it('gets every kind of content, icons and _meta', async () => {
    const server = createServer(quiet)
    server.tool('all', {
      description: 'd',
      icons: [{ src: 'https://example.com/i.png' }],
      _meta: { 'example.com/kind': 'demo' },
      run: () => [
        content.text('t'),
        content.image(png, 'image/png'),
        content.audio(png, 'audio/wav'),
        content.resource('x://y', png, { mimeType: 'image/png' }),
        content.link({ uri: 'x://z', name: 'z' }),
      ],
    })
    const client = await connect(server, era)
    expect((await client.listTools()).tools).toMatchObject([
      { icons: [{ src: 'https://example.com/i.png' }], _meta: { 'example.com/kind': 'demo' } },
    ])
    const { content: blocks } = await client.callTool({ name: 'all' })
    expect(blocks.map(({ type }) => type)).toEqual(['text', 'image', 'audio', 'resource', 'resource_link'])
  })

  it('sees titles, icons, hints and _meta of all that is offered', async () => {
    const server = createServer(quiet)
    const icons = [{ src: 'https://example.com/i.png', mimeType: 'image/png', sizes: ['48x48'] }]
    const shown = { title: 'For people', icons, _meta: { 'example.com/kind': 'demo' } }
    const annotations = { readOnlyHint: true, openWorldHint: false }
    server.tool('t', { description: 'd', annotations, ...shown, run: () => '' })
    server.prompt('p', { description: 'd', ...shown, run: () => '' })
    server.resource('x://r', { name: 'r', description: 'd', ...shown, run: () => '' })
    server.resource('x://r/{id}', { name: 'rs', description: 'd', ...shown, run: () => '' })
    const client = await connect(server, era)
    expect((await client.listTools()).tools).toMatchObject([{ name: 't', annotations, ...shown }])
    expect((await client.listPrompts()).prompts).toMatchObject([{ name: 'p', ...shown }])
    expect((await client.listResources()).resources).toMatchObject([{ name: 'r', ...shown }])
    expect((await client.listResourceTemplates()).resourceTemplates).toMatchObject([{ name: 'rs', ...shown }])
  })

  it('checks arguments by zod, by plain JSON Schema and by any Standard Schema', async () => {
    const server = createServer(quiet)
    const json = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }
    const run = ({ n }: { n?: unknown }) => `${n}`
    server.tool('zod', { description: 'd', input: z.object({ n: z.int() }), run })
    server.tool('json', { description: 'd', input: json, run })
    server.tool('own', {
      description: 'd',
      input: withJsonSchema<{ n: number }, { n: number }>(
        {
          '~standard': {
            version: 1,
            vendor: 'own',
            validate: async value =>
              Number.isInteger((value as { n: unknown }).n)
                ? { value: value as { n: number } }
                : { issues: [{ message: 'no integer', path: ['n'] }] },
          },
        },
        json,
      ),
      run,
    })
    const client = await connect(server, era)
    for (const name of ['zod', 'json', 'own']) {
      expect(await client.callTool({ name, arguments: { n: 4 } })).toMatchObject({ content: [{ text: '4' }] })
      expect(await client.callTool({ name, arguments: { n: 'x' } })).toMatchObject({
        isError: true,
        content: [{ text: expect.stringMatching(/Invalid arguments for tool \w+: .*n/) }],
      })
    }
    expect((await client.listTools()).tools.find(tool => tool.name === 'json')?.inputSchema).toEqual(json)
  })

  it('structured content is what the schema names, and nothing else of what the handler knows', async () => {
    const server = createServer(quiet)
    const row = { id: 1, password: 'canary' }
    server.tool('user', { description: 'd', output: z.object({ id: z.number() }), run: () => row })
    server.tool('ids', { description: 'd', output: z.array(z.number()), run: () => [1, 2] })
    server.tool('bad', { description: 'd', output: z.object({ id: z.number() }), run: () => ({}) as never })
    const client = await connect(server, era)
    const user = await client.callTool({ name: 'user' })
    expect(user).toMatchObject({ structuredContent: { id: 1 }, content: [{ text: '{"id":1}' }] })
    expect(JSON.stringify(user)).not.toContain('canary')
    expect((await client.callTool({ name: 'ids' })).structuredContent).toEqual(
      name === '2025' ? { result: [1, 2] } : [1, 2],
    )
    expect(await client.callTool({ name: 'bad' })).toMatchObject({ isError: true })
  })

  it('hears of progress and log messages of its call', async () => {
    const server = createServer(quiet)
    server.tool('work', {
      description: 'd',
      run: async (_, { progress, log }) => {
        await progress(1, 2, 'half')
        await log.toClient('info', { step: 1 }, 'worker')
        await progress(2, 2)
        return 'done'
      },
    })
    const client = await connect(server, era)
    const heard: unknown[] = []
    client.setNotificationHandler('notifications/message', ({ params }) => void heard.push(params.data))
    const result = await client.callTool(
      { name: 'work', ...(name !== '2025' && { _meta: { 'io.modelcontextprotocol/logLevel': 'info' } }) },
      { onprogress: update => heard.push([update.progress, update.total, update.message]) },
    )
    expect(result).toMatchObject({ content: [{ text: 'done' }] })
    expect(heard).toEqual([[1, 2, 'half'], { step: 1 }, [2, 2, undefined]])
    // Nobody asked: nothing is sent, and the call goes on.
    expect(await client.callTool({ name: 'work' })).toMatchObject({ content: [{ text: 'done' }] })
  })

  it('pages lists as large as the server says, each item once', async () => {
    const server = createServer({ ...quiet, pageSize: 2 })
    for (const tool of ['a', 'b', 'c', 'd', 'e']) server.tool(tool, { description: 'd', run: () => '' })
    const client = await connect(server, era)
    const names: string[] = []
    let pages = 0
    let cursor: string | undefined
    do {
      const page = await client.request({
        method: 'tools/list',
        params: cursor === undefined ? {} : { cursor },
      })
      names.push(...page.tools.map(tool => tool.name))
      cursor = page.nextCursor
      pages++
    } while (cursor !== undefined)
    expect([names, pages]).toEqual([['a', 'b', 'c', 'd', 'e'], 3])
    await expect(
      client.request({ method: 'tools/list', params: { cursor: 'forged' } }),
    ).rejects.toMatchObject({ code: -32602 })
  })

  it('R189: what a resource or prompt throws stays inside, unless the developer says otherwise', async () => {
    for (const exposeErrors of [false, true]) {
      const server = createServer({ ...quiet, exposeErrors })
      const run = () => {
        throw new Error('canary')
      }
      server.tool('t', { description: 'd', run })
      server.resource('x://r', { run })
      server.prompt('p', { description: 'd', run })
      const client = await connect(server, era)
      const told = [
        JSON.stringify(await client.callTool({ name: 't' })),
        String(await client.readResource({ uri: 'x://r' }).catch(error => error.message)),
        String(await client.getPrompt({ name: 'p' }).catch(error => error.message)),
      ]
      for (const text of told) expect(text.includes('canary')).toBe(exposeErrors)
    }
  })

  it('no longer finds what was disabled', async () => {
    const server = createServer(quiet)
    const tool = server.tool('t', { description: 'd', run: () => 'here' })
    const prompt = server.prompt('p', { description: 'd', run: () => 'here' })
    const resource = server.resource('x://r', { run: () => 'here' })
    const client = await connect(server, era)
    for (const offer of [tool, prompt, resource]) offer.disable()
    expect((await client.listTools()).tools).toEqual([])
    expect((await client.listPrompts()).prompts).toEqual([])
    expect((await client.listResources()).resources).toEqual([])
    await expect(client.callTool({ name: 't' })).rejects.toThrow()
    await expect(client.getPrompt({ name: 'p' })).rejects.toThrow()
    await expect(client.readResource({ uri: 'x://r' })).rejects.toThrow()
    tool.enable()
    expect([tool.enabled, prompt.enabled]).toEqual([true, false])
    expect(await client.callTool({ name: 't' })).toMatchObject({ content: [{ text: 'here' }] })
  })
})

describe('changes', () => {
  it('a subscription hears of the lists and resources it asked for, and of nothing else', async () => {
    const server = library()
    const client = await connect(server, eras[0][1])
    const heard: string[] = []
    for (const kind of ['tools', 'prompts', 'resources'] as const) {
      client.setNotificationHandler(`notifications/${kind}/list_changed`, () => void heard.push(kind))
    }
    const updated = new Promise<void>(resolve =>
      client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
        heard.push(params.uri)
        resolve()
      }),
    )
    await client.listen({ promptsListChanged: true, resourceSubscriptions: ['library://rules'] })
    server.notify.toolsChanged()
    server.notify.promptsChanged()
    server.notify.resourceUpdated('library://logo')
    server.notify.resourceUpdated('library://rules')
    await updated
    expect(heard).toEqual(['prompts', 'library://rules'])
  })
})

describe('what cannot work is an error when it is declared', () => {
  const server = createServer(quiet)
  const run = () => ''
  it.each<[string, () => unknown]>([
    ['a resource without a scheme', () => server.resource('notes', { run })],
    ['a template with an open brace', () => server.resource('x://{id', { run })],
    ['a list for a single resource', () => server.resource('x://a', { list: () => [], run })],
    [
      'a completer for a variable there is not',
      () => server.resource('x://{a}', { complete: { b: () => [] } as never, run }),
    ],
    ['a public cache of minus one second', () => server.resource('x://b', { cache: { ttlMs: -1 }, run })],
    ['a prompt without description', () => server.prompt('p', { description: '', run })],
    [
      'a completer for an argument there is not',
      () => server.prompt('q', { description: 'd', complete: { b: () => [] } as never, run }),
    ],
    [
      'arguments that are no object',
      () => server.tool('t', { description: 'd', input: z.string() as never, run }),
    ],
    [
      'a JSON Schema that is none',
      () => server.tool('u', { description: 'd', input: { type: 'nonsense' }, run }),
    ],
    [
      'a header name with a space',
      () =>
        server.tool('v', {
          description: 'd',
          input: z.object({ a: z.string().meta({ 'x-mcp-header': 'a b' }) }),
          run,
        }),
    ],
    [
      'a header for a list',
      () =>
        server.tool('w', {
          description: 'd',
          input: z.object({ a: z.array(z.string().meta({ 'x-mcp-header': 'A' })) }),
          run,
        }),
    ],
    [
      'two parameters in one header',
      () =>
        server.tool('x', {
          description: 'd',
          input: z.object({
            a: z.string().meta({ 'x-mcp-header': 'A' }),
            b: z.string().meta({ 'x-mcp-header': 'a' }),
          }),
          run,
        }),
    ],
    ['pages of no items', () => createServer({ ...quiet, pageSize: 0 })],
    [
      'a cache for everyone and no one',
      () => createServer({ ...quiet, cache: { cacheScope: 'some' as never } }),
    ],
  ])('%s', (_, declare) => {
    expect(declare).toThrow(expect.objectContaining({ name: 'ConfigurationError' }))
  })
})
