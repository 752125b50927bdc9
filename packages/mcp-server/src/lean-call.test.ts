import { afterEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { createServer } from './create-server.ts'
import { mcpRequest, modernHeaders, modernParams } from './mcp-request.fixture.ts'
import * as sdkServer from './tools/sdk-server.ts'
import { ToolError } from './tools/tool-error.ts'

const quiet = { name: 'lean', version: '1.0.0', port: 3000, logLevel: 'silent', environment: {} } as const
afterEach(() => vi.restoreAllMocks())

function setUp(leanCalls: boolean) {
  const server = createServer({ ...quiet, leanCalls })
  server.tool('echo', {
    description: 'd',
    input: z.object({ text: z.string(), times: z.number().default(1) }),
    run: ({ text, times }) => text.repeat(times),
  })
  server.tool('object', { description: 'd', output: z.object({ a: z.number() }), run: () => ({ a: 1 }) })
  server.tool('list', { description: 'd', output: z.array(z.number()), run: () => [1] })
  server.tool('whole', {
    description: 'd',
    run: () => ({ content: [{ type: 'text', text: 'x' }], _meta: { 'example.com/a': 1 }, isError: true }),
  })
  server.tool('nothing', { description: 'd', run: () => {} })
  server.tool('fails', {
    description: 'd',
    run: () => {
      throw new ToolError('No such day.')
    },
  })
  server.tool('breaks', {
    description: 'd',
    run: () => {
      throw new Error('canary')
    },
  })
  server.tool('region', {
    description: 'd',
    input: z.object({ region: z.string().meta({ 'x-mcp-header': 'Region' }) }),
    run: ({ region }) => region,
  })
  server.tool('works', {
    description: 'd',
    run: async (_, { progress, log }) => {
      await progress(1, 2)
      await log.toClient('info', 'half')
      return 'done'
    },
  })
  return server
}

type Message = Record<string, unknown>

function request(era: 'legacy' | 'modern', message: Message, headers: Record<string, string> = {}) {
  const params = message.params as Message | undefined
  if (era === 'legacy') return mcpRequest('http://localhost:3000', message, { headers })
  const modern = { ...message, ...(params && { params: modernParams(params) }) }
  return mcpRequest('http://localhost:3000', modern, {
    headers: { ...modernHeaders('tools/call', String(params?.name)), ...headers },
  })
}

/** Status, and every message of the answer, whether it came as one or as a stream. */
async function answerOf(server: ReturnType<typeof setUp>, sent: Request) {
  const response = await server.fetch(sent)
  const text = await response.text()
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
  const messages = isStream
    ? text.split('\n').flatMap(line => (line.startsWith('data: ') ? [JSON.parse(line.slice(6))] : []))
    : text === ''
      ? []
      : [JSON.parse(text)]
  return { status: response.status, messages }
}

const call = (params: unknown, rest: Message = {}): Message => ({
  jsonrpc: '2.0',
  id: 7,
  method: 'tools/call',
  params,
  ...rest,
})

const messages: [string, Message][] = [
  ['a text', call({ name: 'echo', arguments: { text: 'hi', times: 2 } })],
  ['an id that is a text', call({ name: 'echo', arguments: { text: 'hi' } }, { id: 'seven' })],
  ['wrong arguments', call({ name: 'echo', arguments: { text: 1 } })],
  ['missing arguments', call({ name: 'echo' })],
  ['arguments that are a list', call({ name: 'echo', arguments: [] })],
  ['arguments that are null', call({ name: 'echo', arguments: null })],
  ['structured content', call({ name: 'object' })],
  ['structured content that is a list', call({ name: 'list' })],
  ['a whole result with _meta', call({ name: 'whole' })],
  ['nothing', call({ name: 'nothing' })],
  ['a failure for the model', call({ name: 'fails' })],
  ['an unknown failure', call({ name: 'breaks' })],
  ['a tool nobody has', call({ name: 'missing' })],
  ['a name that is no text', call({ name: 1 })],
  ['params that are a list', call([])],
  ['no id', { jsonrpc: '2.0', method: 'tools/call', params: { name: 'echo', arguments: { text: 'a' } } }],
  ['an id in parts', call({ name: 'echo', arguments: { text: 'hi' } }, { id: 1.5 })],
  ['an id that is null', call({ name: 'echo', arguments: { text: 'hi' } }, { id: null })],
  ['another version of JSON-RPC', call({ name: 'echo', arguments: { text: 'hi' } }, { jsonrpc: '1.0' })],
  ['more than JSON-RPC has', call({ name: 'echo', arguments: { text: 'hi' } }, { extra: 1 })],
  ['a related task', call({ name: 'nothing', _meta: { 'io.modelcontextprotocol/related-task': 1 } })],
  [
    'capabilities that are none',
    call({ name: 'nothing', _meta: { 'io.modelcontextprotocol/clientCapabilities': 1 } }),
  ],
  ['a progress token', call({ name: 'works', _meta: { progressToken: 'p' } })],
  ['a progress token that is none', call({ name: 'works', _meta: { progressToken: {} } })],
  ['a wish for log messages', call({ name: 'works', _meta: { 'io.modelcontextprotocol/logLevel': 'info' } })],
  ['a state of a longer exchange', call({ name: 'nothing', requestState: 'x' })],
  ['a parameter without its header', call({ name: 'region', arguments: { region: 'eu' } })],
]

describe.each(['legacy', 'modern'] as const)('a call of the %s era', era => {
  it.each(messages)('%s: the same answer with the lean path on and off', async (_, message) => {
    const lean = await answerOf(setUp(true), request(era, message))
    expect(lean).toEqual(await answerOf(setUp(false), request(era, message)))
  })

  it.each<[string, Record<string, string>]>([
    ['another name in the header', { 'mcp-name': 'object' }],
    ['another method in the header', { 'mcp-method': 'tools/list' }],
    ['a revision there is not', { 'mcp-protocol-version': '1999-01-01' }],
    ['an older revision', { 'mcp-protocol-version': '2025-06-18' }],
    ['no JSON as content type', { 'content-type': 'text/plain' }],
    ['parameters of the content type', { 'content-type': 'application/json; charset=utf-8' }],
    ['JSON only', { accept: 'application/json' }],
    ['no JSON accepted', { accept: 'text/event-stream' }],
    ['anything accepted', { accept: '*/*' }],
    ['a session nobody has', { 'mcp-session-id': 'x' }],
  ])('R194: with %s: the same answer with the lean path on and off', async (_, headers) => {
    const message = call({ name: 'echo', arguments: { text: 'hi' } })
    const lean = await answerOf(setUp(true), request(era, message, headers))
    expect(lean).toEqual(await answerOf(setUp(false), request(era, message, headers)))
  })

  it('no server object is made for it, unless it speaks to the client', async () => {
    const made = vi.spyOn(sdkServer, 'createSdkServer')
    const server = setUp(true)
    await answerOf(server, request(era, call({ name: 'echo', arguments: { text: 'hi' } })))
    expect(made).not.toHaveBeenCalled()
    const { messages } = await answerOf(
      server,
      request(era, call({ name: 'works', _meta: { progressToken: 1 } })),
    )
    expect(made).toHaveBeenCalledTimes(1)
    expect(messages.map(({ method }) => method)).toContain('notifications/progress')
    expect(messages.at(-1)).toMatchObject({ id: 7, result: { content: [{ text: 'done' }] } })
  })

  it('a tool that speaks to its client runs once', async () => {
    const server = createServer(quiet)
    let runs = 0
    server.tool('once', {
      description: 'd',
      run: async (_, { progress }) => {
        runs++
        await progress(1)
        await progress(2)
        return 'done'
      },
    })
    const { messages } = await answerOf(
      server,
      request(era, call({ name: 'once', _meta: { progressToken: 1 } })),
    )
    expect([runs, messages.length]).toEqual([1, 3])
  })
})

describe('R194: parameters that are repeated in headers', () => {
  const message = call({ name: 'region', arguments: { region: 'eu' } })
  it.each([
    ['the same', 'eu', 200],
    ['the same in base64', '=?base64?ZXU=?=', 200],
    ['another', 'us', 400],
    ['broken base64', '=?base64?ZXU?=', 400],
  ])('%s', async (_, region, status) => {
    const { status: got, messages } = await answerOf(
      setUp(true),
      request('modern', message, { 'mcp-param-region': region }),
    )
    expect(got).toBe(status)
    if (status === 400) expect(messages).toMatchObject([{ error: { code: -32020 } }])
  })
})
