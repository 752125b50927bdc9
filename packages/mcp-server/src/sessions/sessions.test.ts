import { createMemoryStore, developmentSignIn, type SallyportEvent, type Store } from '@sallyport/oauth'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { createServer } from '../create-server.ts'
import type { Server } from '../server.ts'
import { createTestClient } from '../sign-in.fixture.ts'
import { allOf, createRawClient, eventsOf, type StreamEvent } from './raw-session.fixture.ts'
import type { SessionOptions } from './sessions.ts'

const origin = 'http://localhost:3000'
const open: Server[] = []
afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
})

const aborted: string[] = []
const events: SallyportEvent[] = []
let now = 1_800_000_000
let goOn = Promise.resolve()

/** Questions that their server no longer wants answered. */
const takenBack = (stream: StreamEvent[]) =>
  stream.flatMap(({ message }) =>
    message?.method === 'notifications/cancelled' ? [message.params?.requestId] : [],
  )

/** One process; several of them on one store are a fleet. */
function createProcess(store: Store, sessions?: SessionOptions): Server {
  const server = createServer({
    name: 'sessions',
    version: '1.0.0',
    signIn: developmentSignIn(),
    store,
    secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
    environment: {},
    logLevel: 'silent',
    clock: () => now,
    onEvent: event => events.push(event),
    ...(sessions && { sessions }),
  })
  server.tool('greet', { description: 'Greets', run: () => 'hello' })
  server.tool('ask', {
    description: 'Asks',
    auth: {},
    input: z.object({ what: z.string() }),
    run: async ({ what }, { elicit, signal, caller }) => {
      signal.addEventListener('abort', () => aborted.push(what))
      const answer = await elicit({ message: what, schema: z.object({ word: z.string() }) })
      return `${caller.userId} said ${answer.content?.word} to ${what}`
    },
  })
  server.tool('slow', {
    description: 'Lets go of its client, and answers when the test says so',
    auth: { anonymous: true },
    run: async (_, { closeStream }) => {
      await closeStream()
      await goOn
      return 'the rest'
    },
  })
  server.resource('pages://{name}', { run: () => 'a page' })
  open.push(server)
  return server
}

async function setUp(options: { processes?: number; sessions?: SessionOptions; store?: Store } = {}) {
  events.length = 0
  aborted.length = 0
  const store = options.store ?? createMemoryStore({ tenant: 'default' })
  const servers = Array.from({ length: options.processes ?? 1 }, () => createProcess(store, options.sessions))
  const [server] = servers as [Server]
  const users = createTestClient(request => server.fetch(request), origin)
  const signIn = async (name: string) => (await users.signIn({ name })).access_token
  const client = createRawClient(await signIn('ada'))
  await client.initialize(server)
  return { store, servers, server, client, signIn, users }
}

/** Events up to the first one that `isWanted`. */
async function readUntil(
  stream: AsyncGenerator<StreamEvent>,
  isWanted: (event: StreamEvent) => boolean,
): Promise<StreamEvent> {
  for (;;) {
    const { value, done } = await stream.next()
    if (done) throw new Error('the stream ended')
    if (isWanted(value)) return value
  }
}
const question = (stream: AsyncGenerator<StreamEvent>) =>
  readUntil(stream, ({ message }) => message?.method === 'elicitation/create')
const answer = (stream: AsyncGenerator<StreamEvent>) =>
  readUntil(stream, ({ message }) => message?.result !== undefined || message?.error !== undefined)

const word = (id: unknown, text: string) => ({
  id,
  result: { action: 'accept', content: { word: text } },
})

describe('which clients get a session', () => {
  it.each([
    ['that can be asked', { elicitation: {} }, true],
    ['that has a model to lend', { sampling: {} }, true],
    ['that knows folders', { roots: { listChanged: true } }, true],
    ['that can do none of this', {}, false],
  ])('a client %s', async (_, capabilities, expected) => {
    const { server, client } = await setUp()
    const response = await client.initialize(server, capabilities)
    expect(response.status).toBe(200)
    expect(response.headers.has('mcp-session-id')).toBe(expected)
  })

  it('the id is visible ASCII of a length every proxy takes, and tells nobody whose it is', async () => {
    const { client } = await setUp()
    expect(client.sessionId).toMatch(/^[\x21-\x7e]{100,900}$/)
    const userId = events.find(event => event.type === 'sign_in_succeeded')?.userId
    expect(
      Buffer.from(client.sessionId?.split('.').at(-1) ?? '', 'base64url').toString('latin1'),
    ).not.toContain(userId)
  })

  it('a client that ignores its session is served without one', async () => {
    const { server, client } = await setUp()
    client.sessionId = undefined
    const response = await client.call(server, 1, 'greet')
    expect(response.headers.has('mcp-session-id')).toBe(false)
    expect(await response.text()).toContain('hello')
  })

  it('can be all of them, or none', async () => {
    const { server: always, client } = await setUp({ sessions: { when: 'always' } })
    expect((await client.initialize(always, {})).headers.has('mcp-session-id')).toBe(true)
    const { server: never, client: other } = await setUp({ sessions: { when: 'never' } })
    expect((await other.initialize(never)).headers.has('mcp-session-id')).toBe(false)
  })
})

describe('a session', () => {
  it('R160: an id of somebody else is as unknown as any other, and an event tells', async () => {
    const { server, client, signIn } = await setUp()
    const mallory = createRawClient(await signIn('mallory'))
    const nobody = createRawClient()
    for (const thief of [mallory, nobody]) {
      thief.sessionId = client.sessionId
      for (const response of [
        await thief.post(server, { id: 1, method: 'tools/list' }),
        await thief.get(server),
        await thief.delete(server),
      ]) {
        expect(response.status).toBe(404)
        expect(await response.json()).toMatchObject({ error: { code: -32001, message: 'Session not found' } })
      }
    }
    expect(events.filter(({ type }) => type === 'session_refused')).toHaveLength(6)
    expect((await client.post(server, { id: 1, method: 'tools/list' })).status).toBe(200)
    client.sessionId = `${client.sessionId}x`
    expect((await client.post(server, { id: 1, method: 'tools/list' })).status).toBe(404)
  })

  it('R160: the same user through another client has no part in it', async () => {
    const { server, client } = await setUp()
    const elsewhere = createTestClient(request => server.fetch(request), origin)
    const other = createRawClient((await elsewhere.signIn({ name: 'ada' })).access_token)
    other.sessionId = client.sessionId
    expect((await other.call(server, 1, 'greet')).status).toBe(404)
  })

  it('goes on when its client signs in, apart from what it was before', async () => {
    const { server, signIn } = await setUp()
    const nobody = createRawClient()
    await nobody.initialize(server)
    expect(nobody.sessionId).toBeDefined()
    const before = await nobody.get(server)
    const ada = createRawClient(await signIn('ada'))
    ada.sessionId = nobody.sessionId
    const stream = eventsOf(await ada.call(server, 1, 'ask', { what: 'name' }))
    const { message } = await question(stream)
    // Nobody cannot answer for ada, although it is the same session id.
    await nobody.post(server, word(message?.id, 'stolen'))
    await ada.post(server, word(message?.id, 'mine'))
    expect(JSON.stringify((await answer(stream)).message?.result)).toContain('said mine to name')
    await server.close()
    expect(await allOf(eventsOf(before))).toEqual([])
  })

  it('ends when its client says so, in every process', async () => {
    const { servers, client } = await setUp({ processes: 2 })
    const [a, b] = servers as [Server, Server]
    const stream = eventsOf(await client.get(a))
    expect((await client.delete(a)).status).toBe(200)
    expect(await allOf(stream)).toEqual([])
    expect((await client.call(a, 1, 'greet')).status).toBe(404)
    expect((await client.call(b, 1, 'greet')).status).toBe(404)
    expect(events.map(({ type }) => type)).toContain('session_ended')
  })

  it('ends with its id, after 30 days', async () => {
    const { server, client, signIn } = await setUp()
    now += 30 * 86_400
    const later = createRawClient(await signIn('ada'))
    later.sessionId = client.sessionId
    expect((await later.call(server, 1, 'greet')).status).toBe(404)
  })

  it('a restart goes unnoticed: no client has to connect again', async () => {
    const { store, server, client } = await setUp()
    await server.close()
    const restarted = createProcess(store)
    const stream = eventsOf(await client.call(restarted, 7, 'ask', { what: 'colour' }))
    const { message } = await question(stream)
    await client.post(restarted, word(message?.id, 'blue'))
    expect(JSON.stringify((await answer(stream)).message)).toContain('said blue to colour')
  })

  it('R157: a revoked sign-in ends its streams and calls at once', async () => {
    const { server, client } = await setUp()
    const waiting = eventsOf(await client.get(server))
    const stream = eventsOf(await client.call(server, 1, 'ask', { what: 'word' }))
    await question(stream)
    const userId = events.find(event => event.type === 'sign_in_succeeded')?.userId ?? ''
    await server.admin.revokeUser(userId)
    expect(await allOf(waiting)).toEqual([])
    await allOf(stream)
    expect(aborted).toEqual(['word'])
    expect((await client.call(server, 2, 'greet')).status).toBe(401)
  })

  it('makes room: the one of a caller used least lately is freed, and goes on when it is used again', async () => {
    const { server, client, signIn } = await setUp({ sessions: { perCaller: 2 } })
    const token = await signIn('ada')
    const first = await client.get(server)
    for (let count = 0; count < 2; count++) await createRawClient(token).initialize(server)
    expect(await allOf(eventsOf(first))).toEqual([])
    expect((await client.call(server, 1, 'greet')).status).toBe(200)
  })

  it('is freed when nobody has used it for long, unless a call is under way, and goes on when it is used again', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      const { server, client, signIn } = await setUp({ sessions: { idleSeconds: 100 } })
      const busy = createRawClient(await signIn('bob'))
      await busy.initialize(server)
      const asked = eventsOf(await busy.call(server, 1, 'ask', { what: 'word' }))
      const { message } = await question(asked)
      const idle = allOf(eventsOf(await client.get(server)))
      let hasEnded = false
      void idle.then(() => {
        hasEnded = true
      })
      now += 99
      vi.advanceTimersByTime(60_000)
      await client.post(server, { id: 1, method: 'ping' })
      now += 2
      vi.advanceTimersByTime(60_000)
      expect(hasEnded).toBe(false)
      now += 100
      vi.advanceTimersByTime(60_000)
      await idle
      await busy.post(server, word(message?.id, 'still here'))
      expect(JSON.stringify((await answer(asked)).message)).toContain('said still here')
      expect((await client.post(server, { id: 2, method: 'tools/list' })).status).toBe(200)
    } finally {
      vi.useRealTimers()
    }
  })

  it('R171: when all that are held are busy, new clients are served without one', async () => {
    const { server, client, signIn } = await setUp({ sessions: { perCaller: 1 } })
    const stream = eventsOf(await client.call(server, 1, 'ask', { what: 'word' }))
    await question(stream)
    const another = createRawClient(await signIn('ada'))
    expect((await another.initialize(server)).headers.has('mcp-session-id')).toBe(false)
    const bob = createRawClient(await signIn('bob'))
    expect((await bob.initialize(server)).headers.has('mcp-session-id')).toBe(true)
  })

  it('R171: those who are not signed in never push out those who are', async () => {
    const { server, client } = await setUp({ sessions: { total: 2 } })
    const open = allOf(eventsOf(await client.get(server)))
    let hasEnded = false
    void open.then(() => {
      hasEnded = true
    })
    const strangers = Array.from({ length: 3 }, () => createRawClient())
    for (const stranger of strangers) await stranger.initialize(server)
    expect(strangers.map(({ sessionId }) => sessionId !== undefined)).toEqual([true, true, true])
    expect(hasEnded).toBe(false)
    await client.delete(server)
    expect(await open).toEqual([])
  })

  it('R171: those who are not signed in never have all of it, however long their calls take', async () => {
    const { server, client, signIn } = await setUp({ sessions: { total: 4 } })
    let end = () => {}
    goOn = new Promise(resolve => {
      end = resolve
    })
    const strangers = Array.from({ length: 3 }, () => createRawClient())
    for (const stranger of strangers) {
      await stranger.initialize(server)
      if (stranger.sessionId) await allOf(eventsOf(await stranger.call(server, 1, 'slow')))
    }
    expect(strangers.map(({ sessionId }) => sessionId !== undefined)).toEqual([true, true, false])
    const bob = createRawClient(await signIn('bob'))
    expect((await bob.initialize(server)).headers.has('mcp-session-id')).toBe(true)
    expect((await client.call(server, 1, 'greet')).status).toBe(200)
    end()
  })

  it('where nobody can sign in, they have all of it', async () => {
    const server = createServer({
      name: 'open',
      version: '1.0.0',
      environment: {},
      logLevel: 'silent',
      sessions: { total: 2 },
    })
    open.push(server)
    const streams = []
    for (let count = 0; count < 2; count++) {
      const client = createRawClient()
      await client.initialize(server)
      streams.push(eventsOf(await client.get(server)))
    }
    server.notify.toolsChanged()
    for (const stream of streams) {
      await readUntil(stream, ({ message }) => message?.method === 'notifications/tools/list_changed')
    }
  })

  it('R22: those who are not signed in have a share of the store, and leave room for those who are', async () => {
    const { server, client } = await setUp()
    const follow = async (who: typeof client, page: number) => {
      const uri = `pages://${page}`.padEnd(2_000, 'x')
      const response = await who.post(server, { id: page, method: 'resources/subscribe', params: { uri } })
      return (await response.text()).includes('Too many')
    }
    const stranger = createRawClient()
    await stranger.initialize(server)
    let count = 0
    while (!(await follow(stranger, count))) count++
    expect([count > 100, count < 1_000]).toEqual([true, true])
    expect(await follow(client, 0)).toBe(false)
  })

  it('R196: a client that goes away from its calls without ending them has a hundred of them at most', async () => {
    const { server, client, signIn } = await setUp()
    let last: StreamEvent | undefined
    for (let id = 1; id <= 100; id++) {
      const stream = eventsOf(await client.call(server, id, 'ask', { what: 'word' }))
      last = await question(stream)
      await stream.return(undefined)
    }
    const refused = await client.call(server, 101, 'greet')
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5'])
    expect(await refused.json()).toMatchObject({ error: { code: -32000 } })
    // Others go on, and so does whatever ends a call.
    const bob = createRawClient(await signIn('bob'))
    await bob.initialize(server)
    expect((await bob.call(server, 1, 'greet')).status).toBe(200)
    await client.post(server, { method: 'notifications/cancelled', params: { requestId: 1 } })
    expect((await client.call(server, 101, 'greet')).status).toBe(200)
    expect((await client.post(server, word(last?.message?.id, 'late'))).status).toBe(202)
  })

  it('a server that stops does not wait for people: their calls end at once, and can be made again', async () => {
    const { server, client } = await setUp()
    const stream = eventsOf(await client.call(server, 1, 'ask', { what: 'word' }))
    await question(stream)
    await server.close()
    expect(JSON.stringify(await allOf(stream))).toContain('The server is stopping')
  })

  it('answers requests that take no stream with one JSON value', async () => {
    const { server, client } = await setUp()
    const response = await client.post(
      server,
      { id: 1, method: 'tools/call', params: { name: 'greet', arguments: {} } },
      { accept: 'application/json' },
    )
    expect(response.headers.get('content-type')).toContain('application/json')
    expect(await response.text()).toContain('hello')
  })

  it('R195: is nothing to requests of 2026-07-28', async () => {
    const { server, client } = await setUp()
    const modern = { 'mcp-protocol-version': '2026-07-28' }
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    }
    client.sessionId = 'of-nobody'
    const listed = await client.post(
      server,
      { id: 1, method: 'tools/list', params: { _meta: meta } },
      { ...modern, 'mcp-method': 'tools/list' },
    )
    expect([listed.status, listed.headers.has('mcp-session-id')]).toEqual([200, false])
  })
})

describe('a stream that broke', () => {
  it('goes on where its client stopped reading', async () => {
    const { server, client } = await setUp()
    const response = await client.call(server, 1, 'ask', { what: 'word' })
    const stream = eventsOf(response)
    const { id, message } = await question(stream)
    await stream.return(undefined)
    await client.post(server, word(message?.id, 'late'))
    const resumed = eventsOf(await client.get(server, { 'last-event-id': id ?? '' }))
    expect(JSON.stringify((await answer(resumed)).message)).toContain('said late to word')
  })

  it('a call lets go of its client, which comes back for the answer', async () => {
    const { server, client } = await setUp()
    let end = () => {}
    goOn = new Promise(resolve => {
      end = resolve
    })
    const before = await allOf(eventsOf(await client.call(server, 1, 'slow')))
    expect(before).toEqual([{ id: expect.any(String) }])
    const rest = eventsOf(await client.get(server, { 'last-event-id': before[0]?.id ?? '' }))
    end()
    expect((await answer(rest)).message?.result).toMatchObject({ content: [{ text: 'the rest' }] })
  })

  it('where nothing can be resumed, a call that lets go keeps its stream', async () => {
    const { server, client } = await setUp()
    client.sessionId = undefined
    goOn = Promise.resolve()
    const text = await (await client.call(server, 1, 'slow')).text()
    expect(text).toContain('the rest')
  })

  it('shows again what was lost on the way', async () => {
    const { server, client } = await setUp()
    const stream = eventsOf(await client.call(server, 1, 'ask', { what: 'word' }))
    const { value: priming } = await stream.next()
    expect(priming).toEqual({ id: expect.any(String) })
    await stream.return(undefined)
    const resumed = eventsOf(await client.get(server, { 'last-event-id': priming.id }))
    const { message } = await question(resumed)
    await client.post(server, word(message?.id, 'again'))
    expect(JSON.stringify((await answer(resumed)).message)).toContain('said again to word')
  })

  it('goes on in another process, which hears the answer of the first', async () => {
    const { servers, client } = await setUp({ processes: 2 })
    const [a, b] = servers as [Server, Server]
    const stream = eventsOf(await client.call(a, 1, 'ask', { what: 'word' }))
    const { id, message } = await question(stream)
    await stream.return(undefined)
    const resumed = eventsOf(await client.get(b, { 'last-event-id': id ?? '' }))
    const final = answer(resumed)
    await client.post(b, word(message?.id, 'there'))
    expect(JSON.stringify((await final).message)).toContain('said there to word')
  })

  it('R160: is shown to nobody else, whatever event they name', async () => {
    const { server, client, signIn } = await setUp()
    const stream = eventsOf(await client.call(server, 1, 'ask', { what: 'secret' }))
    const { value: priming } = await stream.next()
    const mallory = createRawClient(await signIn('mallory'))
    await mallory.initialize(server)
    const stolen = await mallory.get(server, { 'last-event-id': priming.id })
    await server.close()
    expect(await stolen.text()).not.toContain('secret')
  })

  it('a call that is cancelled takes its question back before its stream ends', async () => {
    const { server, client } = await setUp()
    const stream = eventsOf(await client.call(server, 1, 'ask', { what: 'word' }))
    const asked = await question(stream)
    await client.post(server, { method: 'notifications/cancelled', params: { requestId: 1 } })
    expect(takenBack(await allOf(stream))).toEqual([asked.message?.id])
  })

  it('an event id that is none of ours is refused', async () => {
    const { server, client } = await setUp()
    expect((await client.get(server, { 'last-event-id': 'x' })).status).toBe(400)
  })
})

describe('in several processes', () => {
  it('R22: what is for no other process is not kept for one', async () => {
    const store = createMemoryStore({ tenant: 'default' })
    const append = vi.spyOn(store, 'appendEvent')
    const left = () => append.mock.calls.filter(([{ stream }]) => stream.includes(':left:')).length
    const { servers, client } = await setUp({ processes: 2, store })
    const [a, b] = servers as [Server, Server]
    const stream = eventsOf(await client.call(a, 1, 'ask', { what: 'word' }))
    const id = String((await question(stream)).message?.id)
    const other = id.replace(/\.\d+\./, '.77.')
    for (const made of [1, 'x', 'AAAAAAAA.1', other, `${id}A`]) {
      expect((await client.post(b, word(made, 'x'.repeat(10_000)))).status).toBe(202)
    }
    const long = { requestId: 'x'.repeat(10_000) }
    await client.post(b, { method: 'notifications/cancelled', params: long })
    expect(left()).toBe(0)
    await client.post(b, word(id, 'there'))
    expect(JSON.stringify((await answer(stream)).message)).toContain('said there to word')
    expect(left()).toBe(1)
  })

  it('the answer to a question finds the process that asked', async () => {
    const { servers, client } = await setUp({ processes: 2 })
    const [a, b] = servers as [Server, Server]
    const [one, two] = [
      eventsOf(await client.call(a, 1, 'ask', { what: 'one' })),
      eventsOf(await client.call(b, 2, 'ask', { what: 'two' })),
    ]
    const [first, second] = [await question(one), await question(two)]
    expect(first.message?.id).not.toEqual(second.message?.id)
    expect((await client.post(b, word(first.message?.id, 'eins'))).status).toBe(202)
    expect((await client.post(a, word(second.message?.id, 'zwei'))).status).toBe(202)
    expect(JSON.stringify((await answer(one)).message)).toContain('said eins to one')
    expect(JSON.stringify((await answer(two)).message)).toContain('said zwei to two')
  })

  it('a cancellation finds the process that works', async () => {
    const { servers, client } = await setUp({ processes: 2 })
    const [a, b] = servers as [Server, Server]
    const stream = eventsOf(await client.call(a, 'call', 'ask', { what: 'word' }))
    const asked = await question(stream)
    await client.post(b, { method: 'notifications/cancelled', params: { requestId: 'call' } })
    const rest = await allOf(stream)
    expect(aborted).toEqual(['word'])
    expect(takenBack(rest)).toEqual([asked.message?.id])
    expect(rest.map(({ message }) => message?.method ?? message?.error)).toContainEqual(
      expect.objectContaining({ code: -32800 }),
    )
  })
})
