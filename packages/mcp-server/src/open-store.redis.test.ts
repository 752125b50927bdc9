import { afterAll, beforeAll, expect, it } from 'vitest'
import { type RedisServer, startRedisServer } from '../../oauth/src/storage/redis-server.fixture.ts'
import { loadConfig } from './config.ts'
import { openStore } from './open-store.ts'

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedisServer({ appendonly: 'yes' })
})
afterAll(() => redis.stop())

it('R167: a server that is to wait for a replica says at start that there is none', async () => {
  for (const [waitFor, warnings] of [
    [undefined, []],
    ['replica', [expect.stringContaining('SESSION_REDIS_WAIT_FOR')]],
  ] as const) {
    const heard: string[] = []
    const environment = { SESSION_REDIS_URL: redis.url, SESSION_REDIS_WAIT_FOR: waitFor }
    const store = await openStore(
      loadConfig({}, environment),
      () => {},
      message => heard.push(message),
    )
    await store.close()
    expect(heard).toEqual(warnings)
  }
})
