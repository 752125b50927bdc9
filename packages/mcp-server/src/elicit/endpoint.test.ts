import type { SallyportEvent } from '@sallyport/oauth'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createServer } from '../create-server.ts'
import { fakeProvider } from '../provider.fixture.ts'
import { ConnectionRequiredError } from '../provider.ts'
import { createRawClient, eventsOf } from '../sessions/raw-session.fixture.ts'
import { createTestClient, testSignIn } from '../sign-in.fixture.ts'

const origin = 'http://localhost:3000'
const revision = '2026-07-28'

function setUp() {
  const google = fakeProvider('google')
  const events: SallyportEvent[] = []
  const ordered: string[] = []
  let isConnected = true
  google.connected.isConnected = async () => isConnected
  const { fetch } = google.connected
  google.connected.fetch = async (userId, scopes, input, init) => {
    const request = new Request(input, init)
    // Read before it is known whether it can be sent, as a provider may.
    const { url, method } = request
    const body = await request.text()
    if (!isConnected) throw new ConnectionRequiredError('google', 'dead', scopes)
    google.connections.set(userId, scopes)
    return fetch(userId, scopes, url, { method, body })
  }
  const server = createServer({
    name: 'endpoint',
    version: '1.0.0',
    ...testSignIn(),
    providers: [google.provider],
    questionTiming: { pollMs: 5, roundMs: 50 },
    onEvent: event => events.push(event),
  })
  server.tool('order', {
    description: 'Orders once',
    auth: {},
    input: z.object({ item: z.string() }),
    run: async ({ item }, { elicit }) => {
      const { content } = await elicit({
        id: 'sure',
        message: `Order ${item}?`,
        schema: z.object({ yes: z.boolean() }),
        once: true,
      })
      if (content?.yes) ordered.push(item)
      return 'ordered'
    },
  })
  server.tool('upload', {
    description: 'Sends something to Google',
    auth: { google: ['drive'] },
    run: async (_, { fetch: send }) => {
      const request = new Request('https://google.example/files', { method: 'POST', body: 'a file' })
      return (await send(request)).json()
    },
  })
  server.tool('add-account', {
    description: 'Connects one more account',
    auth: { google: ['drive'] },
    run: () => {
      throw new ConnectionRequiredError('google', 'another_account')
    },
  })
  const browser = createTestClient(request => server.fetch(request), origin)
  const signIn = async (name: string) => {
    const back = ({ searchParams }: URL) =>
      `${searchParams.get('redirect_uri')}?code=${name}&state=${searchParams.get('state')}`
    return (await browser.signIn({ name, elsewhere: back })).access_token
  }
  /** A call of 2026-07-28, as the test wants it. */
  const call = async (token: unknown, params: Record<string, unknown>) => {
    const response = await server.fetch(
      new Request(server.url, {
        method: 'POST',
        headers: {
          accept: 'application/json, text/event-stream',
          'content-type': 'application/json',
          'mcp-protocol-version': revision,
          'mcp-method': 'tools/call',
          'mcp-name': String(params.name),
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/call',
          params: {
            ...params,
            _meta: {
              'io.modelcontextprotocol/protocolVersion': revision,
              'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
              'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {}, url: {} } },
            },
          },
        }),
      }),
    )
    return (await response.json()) as {
      result?: { requestState?: string; inputRequests?: object; content?: unknown }
      error?: { code: number }
    }
  }
  return {
    server,
    events,
    ordered,
    signIn,
    call,
    google,
    disconnect: () => {
      isConnected = false
    },
    reconnect: () => {
      isConnected = true
    },
  }
}

let world: ReturnType<typeof setUp>
beforeEach(() => {
  world = setUp()
})
afterEach(() => world.server.close())

const book = { name: 'order', arguments: { item: 'book' } }
const yes = { inputResponses: { sure: { action: 'accept', content: { yes: true } }, more: 'ignored' } }

describe('R161: the state that a client brings back to the endpoint', () => {
  it('opens for its own call, and with `once` no second time', async () => {
    const { call, signIn, ordered } = world
    const ada = await signIn('ada')
    const { result } = await call(ada, book)
    expect(result?.inputRequests).toMatchObject({ sure: { method: 'elicitation/create' } })
    const answered = { ...book, ...yes, requestState: result?.requestState }
    expect((await call(ada, answered)).result?.content).toEqual([{ type: 'text', text: 'ordered' }])
    expect(await call(ada, answered)).toMatchObject({
      error: { code: -32602, message: 'Invalid or expired requestState' },
    })
    expect(ordered).toEqual(['book'])
  })

  it.each<[string, (state: string) => Record<string, unknown>]>([
    ['changed', state => ({ ...book, requestState: `${state.slice(0, -4)}AAAA` })],
    ['made up', () => ({ ...book, requestState: 'state' })],
    ['no text', () => ({ ...book, requestState: { step: 2 } })],
    ['of another call', state => ({ ...book, arguments: { item: 'house' }, requestState: state })],
    ['of another tool', state => ({ name: 'upload', arguments: book.arguments, requestState: state })],
  ])('%s: refused, nothing runs, and an event tells', async (_, params) => {
    const { call, signIn, ordered, events } = world
    const ada = await signIn('ada')
    const { result } = await call(ada, book)
    expect(await call(ada, { ...params(result?.requestState ?? ''), ...yes })).toMatchObject({
      id: 1,
      error: { code: -32602, data: { reason: 'invalid_request_state' } },
    })
    expect(ordered).toEqual([])
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'request_state_refused', operation: 'tools/call' }),
    )
  })

  it('of somebody else: refused', async () => {
    const { call, signIn, ordered } = world
    const { result } = await call(await signIn('ada'), book)
    const stolen = { ...book, ...yes, requestState: result?.requestState }
    expect((await call(await signIn('mallory'), stolen)).error?.code).toBe(-32602)
    expect(ordered).toEqual([])
  })

  it('none: answers nobody asked for are not taken', async () => {
    const { call, signIn, ordered } = world
    expect((await call(await signIn('ada'), { ...book, ...yes })).result).toHaveProperty('inputRequests.sure')
    expect(ordered).toEqual([])
  })
})

describe('an account that is missing', () => {
  it('what is sent is sent whole once the account is connected', async () => {
    const { server, google, signIn, disconnect, reconnect } = world
    const client = createRawClient(await signIn('ada'))
    disconnect()
    await client.initialize(server)
    const methods: (string | undefined)[] = []
    let result: unknown
    for await (const { message } of eventsOf(await client.call(server, 1, 'upload'))) {
      methods.push(message?.method)
      if (message?.method === 'elicitation/create') {
        expect(message.params).toMatchObject({ mode: 'url', elicitationId: expect.any(String) })
        await client.post(server, { id: message.id, result: { action: 'accept' } })
        reconnect()
      }
      result = message?.result
    }
    expect(JSON.stringify(result)).toContain('via')
    expect(google.requests).toMatchObject([{ method: 'POST', body: 'a file' }])
    expect(methods).toContain('notifications/elicitation/complete')
  })

  it('a session’s request that takes no stream gets the link as an error', async () => {
    const { server, signIn, disconnect } = world
    const client = createRawClient(await signIn('ada'))
    disconnect()
    await client.initialize(server)
    const params = { name: 'upload', arguments: {} }
    const accept = { accept: 'application/json' }
    const response = await client.post(server, { id: 1, method: 'tools/call', params }, accept)
    expect(await response.json()).toMatchObject({
      error: {
        code: -32042,
        data: {
          elicitations: [
            {
              mode: 'url',
              url: expect.stringMatching(/\/oauth\/connect\/google\?ticket=/),
              message: 'The connection to your GOOGLE account has ended.',
              elicitationId: expect.any(String),
            },
          ],
        },
      },
    })
    const add = { name: 'add-account', arguments: {} }
    const more = await client.post(server, { id: 2, method: 'tools/call', params: add }, accept)
    expect(await more.json()).toMatchObject({
      error: {
        code: -32042,
        data: { elicitations: [{ message: 'This needs one more GOOGLE account of yours.' }] },
      },
    })
    await client.initialize(server, { elicitation: { form: {} } })
    const other = await client.post(server, { id: 1, method: 'tools/call', params }, accept)
    expect(await other.text()).toContain('Open this link in a browser, then try again')
  })
})

describe('a client of the 2025 revisions that answers badly', () => {
  async function order(answer: (round: number) => object) {
    const { server, signIn } = world
    const client = createRawClient(await signIn('ada'))
    await client.initialize(server)
    let asked = 0
    let text = ''
    for await (const { message } of eventsOf(await client.call(server, 1, 'order', { item: 'book' }))) {
      if (message?.method === 'elicitation/create') {
        await client.post(server, { id: message.id, ...answer(++asked) })
      } else if (message) text = JSON.stringify(message)
    }
    return { asked, text }
  }

  it('with an error: the call ends with a sentence', async () => {
    const { asked, text } = await order(() => ({ error: { code: -32603, message: 'secret of the client' } }))
    expect(asked).toBe(1)
    expect(text).toContain('Your app did not answer what the tool asked.')
    expect(text).not.toContain('secret of the client')
  })

  it('again and again with what does not fit: three times', async () => {
    const { asked, text } = await order(() => ({ result: { action: 'accept', content: { yes: 'maybe' } } }))
    expect(asked).toBe(3)
    expect(text).toContain('do not fit what the tool asked')
    expect(world.ordered).toEqual([])
  })
})
