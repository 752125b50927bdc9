import { afterAll, beforeAll } from 'vitest'
import { type RedisServer, startRedisServer } from '../../oauth/src/storage/redis-server.fixture.ts'
import { describeRevocationAcrossProcesses } from './revocation.fixture.ts'

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedisServer({ appendonly: 'yes' })
})
afterAll(() => redis.stop())

describeRevocationAcrossProcesses('redis store', () => ({ REDIS_URL: redis.url }))
