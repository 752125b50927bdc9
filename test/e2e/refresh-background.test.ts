import { type Store, systemClock } from '@sallyport/oauth'
import { createRedisStore } from '@sallyport/oauth/redis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  accessTokenOf,
  type CountingUpstream,
  refreshTokenOf,
  startCountingUpstream,
} from './support/counting-upstream.ts'
import { startRedis, type TestRedis } from './support/redis.ts'
import { type RefreshProcess, startRefreshProcess } from './support/refresh-process.ts'
import type { RefreshSettings } from './support/refresh-settings.ts'
import { seedConnections } from './support/seed-connections.ts'

const count = 10_000
/** Just stale, and good for almost five minutes more. */
const ahead = 3310

let redis: TestRedis
let store: Store
let upstream: CountingUpstream
let processes: RefreshProcess[]

beforeAll(async () => {
  ;[redis, upstream] = await Promise.all([startRedis(), startCountingUpstream()])
  store = await createRedisStore({ url: redis.url })
  const { origin } = upstream
  const endpoints = { authorization: origin, token: `${origin}/token`, jwks: origin }
  const settings: RefreshSettings = {
    store: { redisUrl: redis.url },
    kind: 'google',
    issuer: origin,
    apiOrigin: origin,
    clientId: 'client',
    clientSecret: 'secret',
    endpoints: { ...endpoints, issuers: [origin] },
  }
  processes = await Promise.all([0, 1, 2].map(() => startRefreshProcess(settings)))
})
afterAll(async () => {
  await Promise.all((processes ?? []).map(each => each.kill()))
  await store?.close()
  await upstream?.close()
  await redis?.close()
})

it('R180: 10000 connections kept fresh by three processes: each refresh token is used once, and no tool ever waits', async () => {
  const userIds = Array.from({ length: count }, (_, i) => `user-${i}`)
  const now = systemClock()
  await seedConnections(store, userIds, { now, dueAt: now + 3000 })
  for (const each of processes) each.advanceTo(ahead)
  const callAll = async (usersOf: (process: number) => readonly string[]) => {
    const results = await Promise.all(
      processes.map((each, at) => each.call(usersOf(at), { parallel: 20, comesBack: true })),
    )
    expect(results.flatMap(({ errors }) => errors)).toEqual([])
    return new Set(results.flatMap(({ tokens }) => tokens))
  }
  const tokensOf = (users: readonly string[], generation: number) =>
    new Set(users.map(userId => accessTokenOf(userId, generation)))

  // The provider answers nobody, and every token is stale: all tools get one that works all the same.
  upstream.shut()
  const work = Promise.all(processes.map(each => each.runDue()))
  await expect.poll(upstream.waiting, { timeout: 60_000 }).toBe(24)
  const inFlight = userIds.filter(userId => upstream.seen.has(refreshTokenOf(userId)))
  const some = [...new Set([...inFlight, ...userIds.slice(-20)])]
  expect(inFlight).toHaveLength(24)
  expect(await callAll(() => some)).toEqual(tokensOf(some, 0))
  expect(upstream.waiting(), 'no call asked the provider').toBe(24)

  // It answers: everything is refreshed in the midst of calls, of which none asks it either.
  upstream.open()
  const users = userIds.filter((_, i) => i % 10 === 0)
  const [seen] = await Promise.all([
    callAll(process => users.filter((_, i) => i % processes.length === process)),
    work,
  ])
  // What a process had claimed when the store was too slow for it is due again when the claim has ended.
  for (let claims = 1; claims <= 2 && upstream.seen.size < count; claims++) {
    for (const each of processes) each.advanceTo(ahead + claims * 121)
    await Promise.all(processes.map(each => each.runDue()))
  }
  const either = new Set([0, 1].flatMap(generation => [...tokensOf(users, generation)]))
  expect([seen.size, [...seen].filter(token => !either.has(token))]).toEqual([users.length, []])
  expect(upstream.most, 'eight at a time in each process').toBeLessThanOrEqual(24)
  expect([upstream.seen.size, upstream.reused]).toEqual([count, []])
  expect([...upstream.seen.values()].filter(times => times !== 1)).toEqual([])

  const sample = userIds.filter((_, i) => i % 50 === 0)
  expect(await callAll(() => sample)).toEqual(tokensOf(sample, 1))
  expect(upstream.seen.size, 'one refresh for each').toBe(count)
  // Far more than it takes: a busy machine must not fail what measures no time.
}, 900_000)
