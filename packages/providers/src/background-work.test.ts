import type { Provider } from '@sallyport/mcp-server'
import {
  createAuthorizationServer,
  createMemoryStore,
  createSecretRing,
  developmentSignIn,
  StoreUnavailableError,
} from '@sallyport/oauth'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { gate } from './gate.fixture.ts'
import { type Answer, type FakeUpstream, type Script, startFakeUpstream } from './testing/fake-upstream.ts'
import {
  createHarness,
  createTestClock,
  type Harness,
  providerAt,
  secrets,
  type TestClock,
  user,
} from './testing/harness.ts'

const daySeconds = 86_400

let clock: TestClock
let upstream: FakeUpstream
let store: ReturnType<typeof createMemoryStore>
let one: Harness

/** Another process on the same store. */
const process = (
  changes: Partial<Harness['host']> = {},
  provider: Provider = providerAt.google(upstream.origin),
) => createHarness(provider, { upstream, clock, host: { store, ...changes } })

beforeEach(async () => {
  clock = createTestClock()
  upstream = await startFakeUpstream(clock)
  store = createMemoryStore()
  one = process()
})
afterEach(() => upstream.close())

const token = async (harness = one, userId = user) => (await harness.connected.token(userId, [])).value
const runDue = (...harnesses: Harness[]) =>
  Promise.all((harnesses.length > 0 ? harnesses : [one]).map(({ connected }) => connected.runDue!()))
const refreshes = () =>
  upstream.seen('/token').filter(({ form }) => form.get('grant_type') === 'refresh_token').length
const eventsOf = (type: string, ...harnesses: Harness[]) =>
  (harnesses.length > 0 ? harnesses : [one]).flatMap(({ events }) =>
    events.filter(event => event.type === type),
  )
const refreshed: Answer = { body: { access_token: 'access-2', expires_in: 3600 } }

/** Users whose connections are in use, each with a refresh token of its own. */
async function connectAndUse(users: readonly string[]) {
  for (const userId of users) {
    await one.connect({ userId, reply: { refresh_token: `refresh of ${userId}` } })
    await token(one, userId)
  }
}

/** The provider holds back its answer to the next refresh. */
function holdRefresh() {
  const held = gate()
  upstream.script('/token', async () => {
    await held.pass()
    return refreshed
  })
  return held
}

describe('refreshing without a caller', () => {
  it('a connection that a tool uses is refreshed before its token is stale', async () => {
    await one.connect()
    expect(await token()).toBe('access-1')
    upstream.script('/token', refreshed)
    clock.now += 2600
    await runDue()
    expect(refreshes()).toBe(0)
    // Not fresh any more from 3300 on.
    clock.now += 650
    await runDue()
    expect(refreshes()).toBe(1)
    expect(await token()).toBe('access-2')
    expect(refreshes()).toBe(1)
  })

  it('goes on as long as the connection is used, and a day longer', async () => {
    await one.connect()
    await token()
    upstream.script('/token', refreshed)
    for (let hour = 0; hour < 30; hour++) {
      clock.now += 3250
      await runDue()
    }
    // 24 hours of 3600 s are 26 times 3250 s.
    expect(refreshes()).toBe(26)
  })

  it('one that no tool has used is left alone', async () => {
    await one.connect()
    upstream.script('/token', refreshed)
    clock.now += 3500
    await runDue()
    expect(refreshes()).toBe(0)
  })

  it('R180: many processes refresh each connection once, and a process no more than eight at a time', async () => {
    const users = Array.from({ length: 30 }, (_, i) => `user-${i}`)
    await connectAndUse(users)
    let running = 0
    let most = 0
    const seen: (string | null)[] = []
    upstream.script('/token', async ({ form }) => {
      most = Math.max(most, ++running)
      seen.push(form.get('refresh_token'))
      await new Promise(resolve => setImmediate(resolve))
      running--
      return refreshed
    })
    clock.now += 3250
    const others = [process(), process()]
    await runDue(one, ...others)
    expect(seen.sort()).toEqual(users.map(userId => `refresh of ${userId}`).sort())
    expect(most).toBeLessThanOrEqual(24)
    for (const userId of users) expect(await token(others[0], userId)).toBe('access-2')
    expect(seen).toHaveLength(30)
  })

  it('whoever has a token that works does not wait for the provider meanwhile', async () => {
    await one.connect()
    await token()
    const held = holdRefresh()
    // Stale already, as when all processes were down: a caller alone would refresh it.
    clock.now += 3400
    const work = runDue()
    await held.reached
    expect(await Promise.all(Array.from({ length: 50 }, () => token()))).toEqual(Array(50).fill('access-1'))
    expect(await token(process())).toBe('access-1')
    held.open()
    await work
    expect(await token()).toBe('access-2')
    expect(refreshes()).toBe(1)
  })

  it('nor for its turn, where more are due than are refreshed at once', async () => {
    const users = Array.from({ length: 13 }, (_, i) => `user-${i}`)
    await connectAndUse(users)
    const held = holdRefresh()
    clock.now += 3400
    const work = runDue()
    await expect.poll(refreshes).toBe(8)
    const now = await Promise.all(users.map(userId => token(one, userId)))
    expect([now, refreshes()]).toEqual([Array(13).fill('access-1'), 8])
    held.open()
    await work
    expect(refreshes()).toBe(13)
    // When nothing is worked off any more, a caller refreshes what is stale.
    clock.now += 3400
    expect(await token(one, users[0])).toBe('access-2')
    expect(refreshes()).toBe(14)
  })

  it('a refresh that takes long holds up no other', async () => {
    const users = Array.from({ length: 12 }, (_, i) => `user-${i}`)
    await connectAndUse(users)
    const held = gate()
    let count = 0
    upstream.script('/token', async () => {
      if (++count <= 3) await held.pass()
      return refreshed
    })
    clock.now += 3250
    const work = runDue()
    await expect.poll(refreshes).toBe(12)
    held.open()
    await work
    for (const userId of users) expect(await token(one, userId)).toBe('access-2')
    expect(refreshes()).toBe(12)
  })

  it('whoever has none that works waits for the refresh under way, and begins no second one', async () => {
    await one.connect()
    await token()
    const held = holdRefresh()
    clock.now += 4000
    const work = runDue()
    await held.reached
    const caller = token()
    held.open()
    expect(await caller).toBe('access-2')
    await work
    expect(refreshes()).toBe(1)
  })

  it('R182: a provider in trouble is asked again when its pause is over, and no connection is lost', async () => {
    await one.connect()
    await token()
    upstream.script('/token', { status: 503 })
    clock.now += 3250
    await runDue()
    await runDue()
    expect(refreshes()).toBe(1)
    upstream.script('/token', refreshed)
    clock.now += 60
    await runDue()
    expect(await token()).toBe('access-2')
    expect(refreshes()).toBe(2)
  })

  it('a grant that is gone ends its connection once, and is not asked for again', async () => {
    await one.connect()
    await token()
    upstream.script('/token', { status: 400, body: { error: 'invalid_grant' } })
    clock.now += 3250
    await runDue()
    clock.now += 3250
    await runDue()
    expect(refreshes()).toBe(1)
    expect(eventsOf('connection_ended')).toHaveLength(1)
  })

  it('a fault at one connection keeps none of the others from being refreshed, and is told', async () => {
    const users = ['ada', 'bob', 'eve', 'joe', 'mia', 'zoe']
    await connectAndUse(users)
    upstream.script('/token', refreshed)
    clock.now += 3250
    const faulty: typeof store = {
      ...store,
      async findConnection(step) {
        if (step.userId === 'ada') throw new TypeError('a fault of ours')
        return store.findConnection(step)
      },
    }
    await expect(runDue(process({ store: faulty }))).rejects.toThrow('a fault of ours')
    expect(refreshes()).toBe(5)
    // Done when the claim has ended.
    clock.now += 120
    await runDue()
    expect(refreshes()).toBe(6)
  })

  it('begins nothing more once it was told to stop', async () => {
    await one.connect()
    await token()
    clock.now += 3250
    const ended = new AbortController()
    ended.abort()
    await one.connected.runDue!(ended.signal)
    expect(refreshes()).toBe(0)
  })
})

describe('notices of connections that only the user can renew', () => {
  const connect = (harness: Harness) =>
    harness.connect({ reply: { refresh_token: undefined, expires_in: 60 * daySeconds } })

  it('are given 7, 3 and 1 days before the end, each once, whatever number of processes looks', async () => {
    const linkedin = () => process({}, providerAt.linkedin(upstream.origin))
    const all = [linkedin(), linkedin(), linkedin()]
    await connect(all[0]!)
    const [connection] = await store.listConnections({ userId: user, now: clock() })
    const begun = clock.now
    const notices = () => eventsOf('connection_expiring', ...all)
    const told: number[] = []
    for (let day = 1; day <= 60; day++) {
      clock.now = begun + day * daySeconds
      const before = notices().length
      await runDue(...all)
      await runDue(...all)
      if (notices().length > before) told.push(day)
    }
    expect(told).toEqual([53, 57, 59])
    expect(notices()).toEqual(
      [7, 3, 1].map(daysLeft => ({
        type: 'connection_expiring',
        userId: user,
        provider: 'linkedin',
        account: connection?.account,
        daysLeft,
        endsAt: begun + 60 * daySeconds,
      })),
    )
  })

  it('a server that was down gives the one that counts now, and the tool sees it too', async () => {
    const linkedin = process({}, providerAt.linkedin(upstream.origin))
    await connect(linkedin)
    clock.now += 58 * daySeconds
    await runDue(linkedin)
    expect(eventsOf('connection_expiring', linkedin)).toMatchObject([{ daysLeft: 2 }])
    expect(await linkedin.connected.status(user, [])).toMatchObject({ state: 'expiring' })
  })

  it('who connects again hears nothing until the new end comes near', async () => {
    const linkedin = process({}, providerAt.linkedin(upstream.origin))
    await connect(linkedin)
    clock.now += 52 * daySeconds
    await connect(linkedin)
    clock.now += 20 * daySeconds
    await runDue(linkedin)
    expect(eventsOf('connection_expiring', linkedin)).toEqual([])
    clock.now += 33 * daySeconds
    await runDue(linkedin)
    expect(eventsOf('connection_expiring', linkedin)).toMatchObject([{ daysLeft: 7 }])
  })

  it('a connection of an earlier version gets its notices once a tool uses it', async () => {
    const linkedin = process({}, providerAt.linkedin(upstream.origin))
    await connect(linkedin)
    const queue = { kind: 'expiry_notice', provider: 'linkedin' } as const
    const { tasks } = await store.listTasks({ ...queue, cursor: undefined, limit: 9, now: clock() })
    const { id, writtenBy } = tasks[0]!
    await store.replaceTask({ ...queue, id, writtenBy, next: undefined, now: clock() })
    await token(linkedin)
    clock.now += 53 * daySeconds
    await runDue(linkedin)
    expect(eventsOf('connection_expiring', linkedin)).toHaveLength(1)
  })

  it('a connection that is refreshed without an end gets none', async () => {
    await one.connect()
    const queue = { kind: 'expiry_notice', cursor: undefined, limit: 9 } as const
    expect((await store.listTasks({ ...queue, now: clock() })).tasks).toEqual([])
  })
})

describe('R142: tokens of a connection that ended', () => {
  const admin = () =>
    createAuthorizationServer({
      issuer: 'http://localhost:3000',
      serverName: 'Test',
      resources: ['http://localhost:3000/mcp'],
      scopes: {},
      defaultScopes: [],
      store,
      secrets: createSecretRing(secrets),
      signIn: developmentSignIn(),
      revokesUpstream: true,
      clock,
    }).admin
  const disconnect = () => admin().deleteConnection(user, 'google')
  const revoked = () => upstream.seen('/revoke').map(({ form }) => form.get('token'))
  const waiting = async () =>
    (await store.listTasks({ kind: 'revocation', cursor: undefined, limit: 99, now: clock() })).tasks
  const isConnected = () => one.connected.isConnected(user, [])
  const answer = (...answers: Script[]) => upstream.script('/revoke', ...answers)

  const workForTwoMinutes = async () => {
    for (let i = 0; i < 4; i++) {
      clock.now += 30
      await runDue()
    }
  }

  beforeEach(async () => {
    await one.connect()
    answer({ status: 200, body: {} })
  })

  it('R142: are revoked at the provider, after the connection has died here', async () => {
    const [connection] = await store.listConnections({ userId: user, now: clock() })
    let wasConnected: boolean | undefined
    answer(async () => {
      wasConnected = await isConnected()
      return { status: 200, body: {} }
    })
    expect(await disconnect()).toBe(true)
    expect(await isConnected()).toBe(false)
    clock.now += 10
    await runDue(one, process(), process())
    expect(revoked()).toEqual(['refresh-1'])
    expect(wasConnected).toBe(false)
    expect(await waiting()).toEqual([])
    expect(eventsOf('grant_revoked_upstream')).toMatchObject([{ account: connection?.account }])
  })

  it('R142: are kept sealed, and open as no connection', async () => {
    const [connection] = await store.listConnections({ userId: user, now: clock() })
    await disconnect()
    const [task] = await waiting()
    expect(JSON.stringify(task)).not.toContain('refresh-1')
    expect(task!.sealed).not.toBe(connection!.sealed)
    expect(await isConnected()).toBe(false)
  })

  it('R142: a provider that is away is asked again, ever more slowly, and given up after three days', async () => {
    answer({ status: 503 })
    await disconnect()
    clock.now += 10
    const begun = clock.now
    const asked: number[] = []
    while (clock.now < begun + 4 * daySeconds) {
      const before = revoked().length
      await runDue()
      if (revoked().length > before) asked.push(clock.now - begun)
      clock.now += 30
    }
    expect(asked.slice(0, 5)).toEqual([0, 30, 90, 210, 450])
    expect(asked.length).toBeLessThan(30)
    expect(asked.at(-1)).toBeLessThan(3 * daySeconds)
    expect(await waiting()).toEqual([])
    expect(eventsOf('upstream_revocation_failed')).toMatchObject([{ errorClass: 'expired' }])
  })

  it('R142: it is as long as the provider asks for that it is left alone', async () => {
    answer({ status: 503, headers: { 'retry-after': '300' } }, { status: 200, body: {} })
    await disconnect()
    clock.now += 10
    await runDue()
    clock.now += 299
    await runDue()
    expect(revoked()).toHaveLength(1)
    clock.now += 1
    await runDue()
    expect(revoked()).toHaveLength(2)
    expect(await waiting()).toEqual([])
  })

  it('R142: a process that dies while it asks is succeeded by another', async () => {
    answer('never')
    await disconnect()
    clock.now += 10
    void runDue().catch(() => {})
    await expect.poll(() => revoked().length).toBe(1)
    answer({ status: 200, body: {} })
    const other = process()
    await runDue(other)
    expect(revoked()).toHaveLength(1)
    clock.now += 120
    await runDue(other)
    expect(revoked()).toHaveLength(2)
    expect(await waiting()).toEqual([])
  })

  it('R80, R142: what somebody else brought into a link is revoked, unless anybody has connected that account', async () => {
    const bring = async (sub: string) => {
      const { memory } = await one.start()
      const reply = { access_token: `access-of-${sub}`, refresh_token: `refresh-of-${sub}` }
      const { onUnkept } = await one.finish(memory, { claims: { sub }, reply })
      await onUnkept?.(`user-${sub}`)
      clock.now += 10
      await runDue()
    }
    await bring('mallory')
    expect(revoked()).toEqual(['refresh-of-mallory'])
    expect(eventsOf('grant_revoked_upstream')).toMatchObject([{ userId: 'user-mallory' }])
    // Google would take back the whole grant of an account: a wrong choice must not cut off who has connected it.
    await one.connect({ userId: 'user-bob', claims: { sub: 'bob' } })
    await bring('bob')
    expect([revoked().length, await waiting()]).toEqual([1, []])
    expect(await one.connected.isConnected('user-bob', [])).toBe(true)
    // As it would of an account that two users share.
    await one.connect({ userId: 'user-eve', claims: { sub: 'shared' } })
    await bring('shared')
    expect([revoked().length, await waiting()]).toEqual([1, []])
  })

  it('R142: who connects the same account again keeps it: nothing is taken back', async () => {
    await disconnect()
    await one.connect({ reply: { access_token: 'access-9', refresh_token: 'refresh-9' } })
    clock.now += 10
    await runDue()
    expect(revoked()).toEqual([])
    expect(await waiting()).toEqual([])
    expect(await token()).toBe('access-9')
  })

  it('R142: a deletion that failed after the tokens were put aside takes nothing back from who is connected', async () => {
    const { deleteConnection } = store
    store.deleteConnection = () => Promise.reject(new Error('away'))
    await expect(disconnect()).rejects.toThrow('away')
    clock.now += 10
    await runDue()
    expect(revoked()).toEqual([])
    expect(await token()).toBe('access-1')
    store.deleteConnection = deleteConnection
    await disconnect()
    await workForTwoMinutes()
    expect(revoked()).toEqual(['refresh-1', 'refresh-1'])
    expect(await waiting()).toEqual([])
  })

  it('R142, R180: tokens that a refresh brings while the user disconnects are revoked, and connect nobody', async () => {
    const held = gate()
    upstream.script('/token', async () => {
      await held.pass()
      return { body: { access_token: 'access-2', refresh_token: 'refresh-2', expires_in: 3600 } }
    })
    clock.now += 4000
    const caller = token().catch((error: Error) => error.name)
    await held.reached
    await disconnect()
    clock.now += 10
    // Not while the refresh is under way.
    await runDue(process())
    expect(revoked()).toEqual([])
    held.open()
    expect(await caller).toBe('ConnectionRequiredError')
    await workForTwoMinutes()
    expect(revoked().sort()).toEqual(['refresh-1', 'refresh-2'])
    expect(await isConnected()).toBe(false)
    expect(await waiting()).toEqual([])
  })

  describe('when a refresh brought tokens that could not be written', () => {
    let isDown: boolean
    let unlucky: Harness
    beforeEach(async () => {
      isDown = true
      const failing =
        <Step extends object, Outcome>(real: (step: Step) => Promise<Outcome>) =>
        (step: Step) =>
          isDown ? Promise.reject(new StoreUnavailableError('away')) : real(step)
      unlucky = process({
        store: {
          ...store,
          replaceConnection: failing(store.replaceConnection),
          putTask: failing(store.putTask),
        },
      })
      upstream.script('/token', {
        body: { access_token: 'access-2', refresh_token: 'refresh-2', expires_in: 3600 },
      })
      clock.now += 4000
      await expect(token(unlucky)).rejects.toThrow(StoreUnavailableError)
    })

    it('R142: and the user disconnected before the store was back, they are revoked', async () => {
      await disconnect()
      // Still away for the process that has them.
      await expect(runDue(unlucky)).rejects.toThrow(StoreUnavailableError)
      isDown = false
      for (let i = 0; i < 4; i++) {
        clock.now += 30
        await runDue(unlucky, one)
      }
      expect(revoked().sort()).toEqual(['refresh-1', 'refresh-2'])
      expect(await waiting()).toEqual([])
      expect(await isConnected()).toBe(false)
    })

    it('R181: they are written once it is, without a caller', async () => {
      isDown = false
      await runDue(unlucky)
      expect(await token(one)).toBe('access-2')
      expect(refreshes()).toBe(1)
      expect(revoked()).toEqual([])
    })

    it('R180: and the user connected again meanwhile, they are dropped', async () => {
      await one.connect({ reply: { access_token: 'again', refresh_token: 'again-refresh' } })
      isDown = false
      await runDue(unlucky)
      expect(await token(unlucky)).toBe('again')
      await workForTwoMinutes()
      expect(revoked()).toEqual([])
    })
  })

  it('R142: with revocation off nothing is kept and nobody is asked', async () => {
    const off = createAuthorizationServer({
      issuer: 'http://localhost:3000',
      serverName: 'Test',
      resources: ['http://localhost:3000/mcp'],
      scopes: {},
      defaultScopes: [],
      store,
      secrets: createSecretRing(secrets),
      signIn: developmentSignIn(),
      clock,
    })
    await off.admin.deleteConnection(user, 'google')
    expect(await waiting()).toEqual([])
  })
})
