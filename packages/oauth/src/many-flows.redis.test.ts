import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { expectNothingLeftOfFlows, expectUsersNotToGrow } from './many-flows.fixture.ts'
import { type RedisServer, startRedisServer } from './storage/redis-server.fixture.ts'
import { redisUnderTest } from './storage/redis-store.fixture.ts'
import type { StoreUnderTest } from './storage/store-contract.ts'

let server: RedisServer
let underTest: StoreUnderTest
beforeAll(async () => {
  server = await startRedisServer()
})
afterAll(() => server.stop())
beforeEach(async () => {
  await server.client.flushall()
  underTest = await redisUnderTest({ url: server.url, commandTimeoutMs: 20_000, stepTimeoutMs: 20_000 }, [
    server.client,
  ])
  return () => underTest.close()
})

/** Every key of this server, the lists that families are found on among them; that of the health check is no record. */
const allKeys = async () => (await server.client.keys('*')).filter(key => !key.endsWith(':check}'))

it('R170: redis store: of 10 000 flows every key has an end, and not one is left once they have ended', async () => {
  const countRecords = async () => {
    const keys = await allKeys()
    const lives = await Promise.all(keys.map(key => server.client.ttl(key)))
    expect(keys.filter((_, i) => lives[i]! < 0)).toEqual([])
    return keys.length
  }
  await expectNothingLeftOfFlows({ ...underTest, countRecords }, 10_000)
}, 600_000)

it('R170: redis store: a user takes no more room however often a client refreshes', async () => {
  const countBytes = async () => {
    const keys = await allKeys()
    const sizes = await Promise.all(keys.map(key => server.client.memory('USAGE', key, 'SAMPLES', 0)))
    return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
  }
  const countRecords = async () => (await allKeys()).length
  await expectUsersNotToGrow('Redis', { ...underTest, countRecords }, countBytes)
}, 300_000)
