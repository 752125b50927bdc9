import { afterAll, beforeAll, expect, it } from 'vitest'
import { expectNothingLeftOfFlows } from './many-flows.fixture.ts'
import { type RedisServer, startRedisServer } from './storage/redis-server.fixture.ts'
import { redisUnderTest } from './storage/redis-store.fixture.ts'

let server: RedisServer
beforeAll(async () => {
  server = await startRedisServer({ appendonly: 'yes' })
})
afterAll(() => server.stop())

it('R170: redis store: of 500 flows every key has an end, and not one is left once they have ended', async () => {
  const underTest = await redisUnderTest({ url: server.url }, [server.client])
  // Every key of this server, the lists that families are found on among them; that of the health check is no record.
  const countRecords = async () => {
    const keys = (await server.client.keys('*')).filter(key => !key.endsWith(':check}'))
    const lives = await Promise.all(keys.map(key => server.client.ttl(key)))
    expect(keys.filter((_, i) => lives[i]! < 0)).toEqual([])
    return keys.length
  }
  await expectNothingLeftOfFlows({ ...underTest, countRecords }, 500)
  await underTest.close()
}, 120_000)
