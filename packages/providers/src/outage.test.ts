import { ProviderUnavailableError } from '@sallyport/mcp-server'
import { createMemoryStore } from '@sallyport/oauth'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Answer, type FakeUpstream, startFakeUpstream } from './testing/fake-upstream.ts'
import {
  createHarness,
  createTestClock,
  type Harness,
  providerAt,
  type TestClock,
} from './testing/harness.ts'

const userCount = 40
const outageSeconds = 600

let clock: TestClock
let upstream: FakeUpstream
let processes: Harness[]
let users: { userId: string; accessEndsAt: number }[]
let ended: number

beforeEach(async () => {
  clock = createTestClock()
  upstream = await startFakeUpstream(clock)
  const store = createMemoryStore()
  processes = [0, 1, 2].map(() =>
    createHarness(providerAt.google(upstream.origin), { upstream, clock, host: { store } }),
  )
  users = []
  ended = 0
  // Their tokens end one after the other while the provider is down.
  for (let i = 0; i < userCount; i++) {
    const userId = `user-${i}`
    await processes[0]!.connect({ userId, reply: { expires_in: 3600 } })
    users.push({ userId, accessEndsAt: clock() + 3600 })
    clock.now += outageSeconds / userCount
  }
  clock.now = users[0]!.accessEndsAt - 100
})
afterEach(() => upstream.close())

const refreshes = () =>
  upstream.seen('/token').filter(({ form }) => form.get('grant_type') === 'refresh_token').length

/** Every user calls once, at one process or another; how many got a token. */
async function callAll(): Promise<number> {
  const calls = users.map(async ({ userId, accessEndsAt }, i) => {
    try {
      await processes[(clock.now + i) % processes.length]!.connected.token(userId, [])
      return 1
    } catch (error) {
      expect(error).toBeInstanceOf(ProviderUnavailableError)
      expect(accessEndsAt, 'a token that still works is served').toBeLessThanOrEqual(clock.now)
      ended++
      return 0
    }
  })
  return (await Promise.all(calls)).reduce<number>((sum, each) => sum + each, 0)
}

it.each<[string, Answer]>([
  ['500', { status: 500 }],
  ['429', { status: 429 }],
  ['503 that asks for 10 s', { status: 503, headers: { 'retry-after': '10' } }],
])(
  'R182: ten minutes of %s: tokens that work are served, the provider is asked now and then, and nobody loses a connection',
  async (_, answer) => {
    upstream.script('/token', answer)
    for (let second = 0; second < outageSeconds; second++) {
      await callAll()
      clock.now++
    }
    expect(ended, 'tokens did end').toBeGreaterThan(1000)
    // Three processes, 40 users: one probe every 20 s, and a few before anybody knew.
    expect(refreshes()).toBeLessThan(60)

    const failed = refreshes()
    upstream.script('/token', { body: { access_token: 'again', expires_in: 3600 } })
    const isBackAt = clock.now
    while (refreshes() === failed) {
      await callAll()
      clock.now++
    }
    expect(clock.now - isBackAt).toBeLessThanOrEqual(30)
    clock.now += 20
    expect(await callAll()).toBe(userCount)
    const states = await Promise.all(
      users.map(async ({ userId }) => (await processes[0]!.connected.status(userId, [])).state),
    )
    expect(new Set(states)).toEqual(new Set(['active']))
    const types = processes.flatMap(({ events }) => events.map(({ type }) => type))
    expect(types).not.toContain('connection_ended')
    expect(types.filter(type => type === 'circuit_opened' || type === 'circuit_closed')).toHaveLength(2)
  },
  30_000,
)
