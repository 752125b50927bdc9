import { afterAll, beforeAll, it } from 'vitest'
import { startFleetProcess } from '../fleet.fixture.ts'
import { createRedisStore } from '../redis.ts'
import { type RedisServer, startRedisServer } from '../storage/redis-server.fixture.ts'
import { newTenant } from '../storage/redis-store.fixture.ts'
import { expectRotationWithoutFailure } from './rotation-under-load.fixture.ts'

let server: RedisServer
beforeAll(async () => {
  server = await startRedisServer({ appendonly: 'yes' })
})
afterAll(() => server.stop())

it('R174, R178: two processes on one Redis change the secret and the signing key under load, and no request fails', async () => {
  const redis = { url: server.url, tenant: newTenant(), commandTimeoutMs: 20_000, stepTimeoutMs: 20_000 }
  const store = await createRedisStore(redis)
  await expectRotationWithoutFailure(store, settings => startFleetProcess({ redis, ...settings }))
  await store.close()
}, 600_000)
