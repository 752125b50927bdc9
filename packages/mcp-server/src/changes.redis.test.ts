import { afterAll, beforeAll } from 'vitest'
import { type RedisServer, startRedisServer } from '../../oauth/src/storage/redis-server.fixture.ts'
import { describeChangesAcrossProcesses } from './changes.fixture.ts'

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedisServer({ appendonly: 'yes' })
})
afterAll(() => redis.stop())

describeChangesAcrossProcesses(
  'redis store',
  () => ({ REDIS_URL: redis.url }),
  () => redis.restart(),
)
