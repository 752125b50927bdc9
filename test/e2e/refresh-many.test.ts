import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFileStore, type Store, systemClock } from '@sallyport/oauth'
import { createRedisStore } from '@sallyport/oauth/redis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { accessTokenOf, type CountingUpstream, startCountingUpstream } from './support/counting-upstream.ts'
import { startRedis } from './support/redis.ts'
import { type RefreshProcess, startRefreshProcess } from './support/refresh-process.ts'
import type { RefreshSettings } from './support/refresh-settings.ts'
import { seedConnections } from './support/seed-connections.ts'

let upstream: CountingUpstream
let processes: RefreshProcess[]
let cleanUps: (() => Promise<unknown>)[]

beforeEach(async () => {
  upstream = await startCountingUpstream()
  processes = []
  cleanUps = []
})
afterEach(async () => {
  await Promise.all(processes.map(each => each.kill()))
  for (const cleanUp of cleanUps) await cleanUp()
  await upstream.close()
})

describe.each<[string, number, () => Promise<[RefreshSettings['store'], Store]>]>([
  [
    'Redis',
    600,
    async () => {
      const redis = await startRedis()
      const store = await createRedisStore({ url: redis.url })
      cleanUps.push(() => store.close(), redis.close)
      return [{ redisUrl: redis.url }, store]
    },
  ],
  [
    'the file store',
    60,
    async () => {
      const directory = await mkdtemp(join(tmpdir(), 'sallyport-e2e-many-'))
      const store = createFileStore({ directory })
      cleanUps.push(
        () => store.close(),
        () => rm(directory, { recursive: true, force: true }),
      )
      return [{ directory }, store]
    },
  ],
])('three processes on %s', (_, count, open) => {
  it(`R180: ${count} connections whose tokens have all ended: each refresh token is used once, and everybody is served`, async () => {
    const [storeSettings, store] = await open()
    const userIds = Array.from({ length: count }, (_, i) => `user-${i}`)
    // Tokens of an hour, issued longer ago.
    await seedConnections(store, userIds, { now: systemClock() - 4000 })
    const { origin } = upstream
    const endpoints = { authorization: origin, token: `${origin}/token`, jwks: origin, issuers: [origin] }
    const settings: RefreshSettings = {
      store: storeSettings,
      kind: 'google',
      issuer: origin,
      apiOrigin: origin,
      clientId: 'client',
      clientSecret: 'secret',
      endpoints: endpoints as RefreshSettings['endpoints'],
    }
    processes = await Promise.all([0, 1, 2].map(() => startRefreshProcess(settings)))
    // All begin with the same connections, so that they meet as often as they can.
    const results = await Promise.all(processes.map(each => each.call(userIds, { parallel: 10 })))
    for (const { tokens, errors } of results) {
      expect(errors).toEqual([])
      expect(new Set(tokens)).toEqual(new Set(userIds.map(userId => accessTokenOf(userId, 1))))
    }
    expect([...upstream.seen.values()].filter(times => times !== 1)).toEqual([])
    expect([upstream.seen.size, upstream.reused]).toEqual([count, []])
  }, 120_000)
})
