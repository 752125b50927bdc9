export type { RedisStoreOptions } from './storage/redis-store.ts'
export { createRedisStore } from './storage/redis-store.ts'
