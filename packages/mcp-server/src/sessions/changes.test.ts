import { createMemoryStore, developmentSignIn, type SallyportEvent, type Store } from '@sallyport/oauth'
import { afterEach, describe, expect, it } from 'vitest'
import { createServer } from '../create-server.ts'
import { eras } from '../mcp-client.fixture.ts'
import type { Server } from '../server.ts'
import { createTestClient } from '../sign-in.fixture.ts'
import type { Caller } from '../tools/call-context.ts'
import { listenModern, notificationsOf } from './listening.fixture.ts'
import { allOf, createRawClient, eventsOf, type StreamEvent } from './raw-session.fixture.ts'

const origin = 'http://localhost:3000'
const open: Server[] = []
afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
})

/** A store in memory whose followers can be told that something may have been missed. */
function gappyStore(): Store & { gap(): void } {
  const store = createMemoryStore({ tenant: 'default' })
  const watchers = new Set<Parameters<Store['watchChanges']>[0]>()
  return Object.assign(Object.create(store) as Store, {
    watchChanges(watcher: Parameters<Store['watchChanges']>[0]) {
      watchers.add(watcher)
      return store.watchChanges(watcher)
    },
    gap() {
      for (const { onGap } of watchers) onGap()
    },
  })
}

async function setUp() {
  const time = { now: 1_800_000_000 }
  const events: SallyportEvent[] = []
  const store = gappyStore()
  const createProcess = () => {
    const server = createServer({
      name: 'changes',
      version: '1.0.0',
      signIn: developmentSignIn(),
      store,
      secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
      environment: {},
      logLevel: 'silent',
      clock: () => time.now,
      onEvent: event => events.push(event),
    })
    server.tool('greet', { description: 'Greets', run: () => 'hello' })
    server.tool('whoami', { description: 'Names you', auth: {}, run: (_, { caller }) => caller.userId })
    server.resource('notes://{owner}', {
      auth: { allow: (caller: Caller | undefined, { owner }: { owner: string }) => caller?.userId === owner },
      run: () => 'a note',
    })
    server.resource('news://today', { run: () => 'nothing new' })
    server.resource('vault://gold', { auth: { scopes: ['vault'], hidden: true }, run: () => 'gold' })
    open.push(server)
    return server
  }
  const [a, b] = [createProcess(), createProcess()]
  // A process that has served nothing yet follows nothing yet.
  for (const server of [a, b]) await server.start({ transport: 'mounted', silent: true })
  const users = createTestClient(request => a.fetch(request), origin)
  const signIn = async (name: string) => {
    const token = String((await users.signIn({ name })).access_token)
    const userId = events.findLast(event => event.type === 'sign_in_succeeded')?.userId ?? ''
    return { token, userId, own: `notes://${userId}` }
  }
  return { a, b, createProcess, time, store, signIn }
}

/** What a stream tells, up to the change of the news, which everybody may hear and which is published last. */
async function heardUntilNews(stream: AsyncGenerator<StreamEvent>): Promise<unknown[]> {
  const heard: unknown[] = []
  for await (const { message } of stream) {
    const told = notificationsOf(message)
    if (told === 'news://today') return heard
    if (told !== undefined) heard.push(told)
  }
  throw new Error('the stream ended')
}

describe('a change that is published at one process', () => {
  it('is heard by a 2025 client whose stream another process holds', async () => {
    const { a, b, signIn } = await setUp()
    const { token, own } = await signIn('ada')
    const client = createRawClient(token)
    await client.initialize(b)
    for (const uri of [own, 'news://today']) {
      expect((await client.post(b, { id: uri, method: 'resources/subscribe', params: { uri } })).status).toBe(
        200,
      )
    }
    const stream = eventsOf(await client.get(b))
    a.notify.toolsChanged()
    a.notify.promptsChanged()
    a.notify.resourceUpdated('notes://somebody-else')
    a.notify.resourceUpdated(own)
    a.notify.resourceUpdated('news://today')
    // This server has no prompts, so it has nothing to tell of them.
    expect(await heardUntilNews(stream)).toEqual(['tools', own])
  })

  it('is heard by a 2026 client that listens at another process', async () => {
    const { a, b, signIn } = await setUp()
    const { token, own } = await signIn('ada')
    const stream = eventsOf(
      await listenModern(b, token, {
        toolsListChanged: true,
        resourceSubscriptions: [own, 'news://today'],
      }),
    )
    a.notify.toolsChanged()
    a.notify.resourcesChanged()
    a.notify.resourceUpdated(own)
    a.notify.resourceUpdated('news://today')
    expect(await heardUntilNews(stream)).toEqual(['tools', own])
  })

  it('R160: is heard by nobody who may not read the resource, in either revision', async () => {
    const { a, b, signIn } = await setUp()
    const ada = await signIn('ada')
    const mallory = await signIn('mallory')
    const session = createRawClient(mallory.token)
    await session.initialize(b)
    for (const uri of [ada.own, 'news://today']) {
      await session.post(b, { id: 1, method: 'resources/subscribe', params: { uri } })
    }
    const streams = [
      eventsOf(await session.get(b)),
      eventsOf(await listenModern(b, mallory.token, { resourceSubscriptions: [ada.own, 'news://today'] })),
    ]
    a.notify.resourceUpdated(ada.own)
    a.notify.resourceUpdated('news://today')
    for (const stream of streams) expect(await heardUntilNews(stream)).toEqual([])
  })

  it('comes again to a client that takes up its stream at a third process', async () => {
    const { a, b, createProcess, signIn } = await setUp()
    const { token } = await signIn('ada')
    const client = createRawClient(token)
    await client.initialize(b)
    await client.post(b, { id: 1, method: 'resources/subscribe', params: { uri: 'news://today' } })
    const stream = eventsOf(await client.get(b))
    a.notify.resourcesChanged()
    let seen: string | undefined
    for await (const { id, message } of stream) {
      seen = id
      if (notificationsOf(message) === 'resources') break
    }
    // The connection has gone, and b notices nothing.
    a.notify.toolsChanged()
    const c = createProcess()
    const resumed = eventsOf(await client.get(c, { 'last-event-id': String(seen) }))
    a.notify.resourceUpdated('news://today')
    expect(await heardUntilNews(resumed)).toContain('tools')
  })
})

describe('what a session follows', () => {
  it('R156: is nothing hidden: its name is as unknown as one that nobody has', async () => {
    const { a, signIn } = await setUp()
    const client = createRawClient((await signIn('ada')).token)
    await client.initialize(a)
    const answers = ['vault://gold', 'vault://none'].map(async uri => {
      const response = await client.post(a, { id: 1, method: 'resources/subscribe', params: { uri } })
      const { value } = await eventsOf(response).next()
      const text = JSON.stringify(value ?? null)
      return [response.status, text.replaceAll(uri, 'uri').replace(/"id":"[^"]*",?/, '')]
    })
    const [hidden, unknown] = await Promise.all(answers)
    expect(hidden).toEqual(unknown)
  })

  it('holds for a stream that another process has open', async () => {
    const { a, b, signIn } = await setUp()
    const { token } = await signIn('ada')
    const client = createRawClient(token)
    await client.initialize(b)
    const stream = eventsOf(await client.get(b))
    await client.post(a, { id: 1, method: 'resources/subscribe', params: { uri: 'news://today' } })
    // What a session follows is read by the other process in the background: until then it hears nothing.
    let isTold = false
    const told = heardUntilNews(stream).then(() => {
      isTold = true
    })
    await expect
      .poll(
        () => {
          a.notify.resourceUpdated('news://today')
          return isTold
        },
        { timeout: 20_000, interval: 20 },
      )
      .toBe(true)
    await told
  })

  it('a restart goes unnoticed', async () => {
    const { a, b, createProcess, signIn } = await setUp()
    const { token, own } = await signIn('ada')
    const client = createRawClient(token)
    await client.initialize(b)
    for (const uri of [own, 'news://today']) {
      await client.post(b, { id: uri, method: 'resources/subscribe', params: { uri } })
    }
    await b.close()
    const stream = eventsOf(await client.get(createProcess()))
    a.notify.resourceUpdated(own)
    a.notify.resourceUpdated('news://today')
    expect(await heardUntilNews(stream)).toEqual([own])
  })
})

it('R196: one request follows a thousand resources at most, of addresses that can be held for many', async () => {
  const { a, signIn } = await setUp()
  const { token } = await signIn('ada')
  const listen = (resourceSubscriptions: string[]) => listenModern(a, token, { resourceSubscriptions })
  const named = (count: number, length: number) =>
    Array.from({ length: count }, (_, index) => `news://${index}`.padEnd(length, 'x'))
  for (const uris of [named(1_001, 20), named(100, 2_000)]) {
    const refused = await listen(uris)
    expect([refused.status, await refused.json()]).toMatchObject([400, { id: 1, error: { code: -32602 } }])
  }
  const heard = eventsOf(await listen([...named(999, 60), 'news://today']))
  a.notify.resourceUpdated('news://today')
  expect(await heardUntilNews(heard)).toEqual([])
})

describe('when changes may have been missed', () => {
  const everything = ['resources', 'tools']

  it.each(['2025', '2026'])('a client of %s is told of all it follows', async revision => {
    const { b, store, signIn } = await setUp()
    const { token, own } = await signIn('ada')
    const client = createRawClient(token)
    await client.initialize(b)
    const post = (uri: string) => client.post(b, { id: uri, method: 'resources/subscribe', params: { uri } })
    let response: Response
    if (revision === '2025') {
      await post(own)
      await post('news://today')
      response = await client.get(b)
    } else {
      const lists = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true }
      response = await listenModern(b, token, { ...lists, resourceSubscriptions: [own, 'news://today'] })
    }
    store.gap()
    expect((await heardUntilNews(eventsOf(response))).sort()).toEqual([own, ...everything].sort())
  })

  it('because the token had ended, its client is told as soon as it comes with a new one', async () => {
    const { a, b, time, signIn } = await setUp()
    const ada = await signIn('ada')
    const client = createRawClient(ada.token)
    await client.initialize(b)
    for (const uri of [ada.own, 'news://today']) {
      await client.post(b, { id: uri, method: 'resources/subscribe', params: { uri } })
    }
    const stream = eventsOf(await client.get(b))
    time.now += 1_000
    a.notify.resourceUpdated(ada.own)
    const renewed = createRawClient((await signIn('ada')).token)
    renewed.sessionId = client.sessionId
    await renewed.post(b, { id: 2, method: 'tools/list' })
    expect((await heardUntilNews(stream)).sort()).toEqual([ada.own, ...everything].sort())
  })
})

describe('a sign-in that is revoked', () => {
  it.each(eras)('R157: revision %s: ends what listens, at every process', async (_, era) => {
    const { a, b, signIn } = await setUp()
    const ada = await signIn('ada')
    const bob = await signIn('bob')
    const listen = async (token: string) => {
      if (era.mode !== 'legacy') return listenModern(b, token, { toolsListChanged: true })
      const client = createRawClient(token)
      await client.initialize(b)
      return client.get(b)
    }
    const hers = allOf(eventsOf(await listen(ada.token)))
    const his = eventsOf(await listen(bob.token))
    await a.admin.revokeUser(ada.userId)
    expect((await hers).flatMap(({ message }) => notificationsOf(message) ?? [])).toEqual([])
    a.notify.toolsChanged()
    for await (const { message } of his) if (notificationsOf(message) === 'tools') break
  })

  it('R157: ends a stream that it opened, though its user has signed in again since', async () => {
    const { b, signIn } = await setUp()
    const first = await signIn('ada')
    const [grant] = await b.admin.listGrants(first.userId)
    const client = createRawClient(first.token)
    await client.initialize(b)
    const stream = allOf(eventsOf(await client.get(b)))
    const again = createRawClient((await signIn('ada')).token)
    again.sessionId = client.sessionId
    expect((await again.post(b, { id: 1, method: 'tools/list' })).status).toBe(200)
    expect(await b.admin.revokeGrant(grant?.grantId ?? '')).toBe(true)
    await stream
    expect((await again.post(b, { id: 2, method: 'tools/list' })).status).toBe(200)
  })
})
