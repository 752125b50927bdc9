import type { Redis } from 'ioredis'
import { StoreUnavailableError } from '../errors.ts'
import { createRedisStore, type RedisStoreOptions } from './redis-store.ts'
import type { Store } from './store.ts'
import type { StoreUnderTest } from './store-contract.ts'

/** The rights STORAGE.md tells a deployer to give. */
export const storeRights: readonly string[] = [
  'resetkeys',
  '~sallyport:*',
  'resetchannels',
  '&sallyport:*',
  '-@all',
  ...[
    'hello auth select ping info time evalsha eval scan subscribe publish',
    'get set del exists expire hset hget hmget hgetall hvals hkeys hexists hdel',
    'zadd zrem zcount zrangebyscore zscan zrevrange zremrangebyscore',
    'incrby pttl multi exec',
  ]
    .join(' ')
    .split(' ')
    .map(command => `+${command}`),
]

/** What a cluster needs beyond that. */
export const clusterRights: readonly string[] = ['+cluster|slots', '+client|setname', '+readonly', '+asking']

let tenants = 0

/** A tenant no other test has. */
export const newTenant = (): string => `tenant-${process.pid}-${tenants++}`

/** Every key of a tenant on some servers. */
export async function tenantKeys(servers: readonly Redis[], tenant: string): Promise<string[]> {
  const found = await Promise.all(servers.map(server => server.keys(`sallyport:{${tenant}:*`)))
  return found.flat().sort()
}

/** Lets time pass for the keys of a tenant: Redis's own clock cannot be set. */
export async function passTime(servers: readonly Redis[], tenant: string, seconds: number): Promise<void> {
  for (const server of servers) {
    await forEachKey(await tenantKeys([server], tenant), async key => {
      await server.pexpire(key, (await server.pttl(key)) - seconds * 1_000)
    })
  }
}

/** Many at once, but not so many that they fill a buffer. */
async function forEachKey(keys: readonly string[], step: (key: string) => Promise<void>): Promise<void> {
  for (let i = 0; i < keys.length; i += 1_000) await Promise.all(keys.slice(i, i + 1_000).map(step))
}

/** Opens a store; on a busy machine, connecting can take longer than the options of a test allow for it. */
async function untilOpen(options: RedisStoreOptions): Promise<Store> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await createRedisStore(options)
    } catch (error) {
      if (!(error instanceof StoreUnavailableError) || attempt === 20) throw error
    }
  }
}

/** The moment at which the contract begins. */
const contractBegins = 1_900_000_000

/** A new tenant, and a store in it, as the contract wants them. */
export async function redisUnderTest(
  options: Omit<RedisStoreOptions, 'tenant'>,
  servers: readonly Redis[],
): Promise<StoreUnderTest> {
  const tenant = newTenant()
  let passedUntil = contractBegins
  const open = async () => {
    const opened = await untilOpen({ ...options, tenant })
    return {
      ...opened,
      // Redis ends records by itself, a minute after their end: so that minute passes as well.
      async cleanupExpired({ now }: { now: number }) {
        await opened.cleanupExpired({ now })
        await passTime(servers, tenant, now - passedUntil)
        passedUntil = now
        for (const server of servers) {
          await forEachKey(await tenantKeys([server], tenant), async key => {
            if ((await server.pttl(key)) <= 60_000) await server.del(key)
          })
        }
      },
    }
  }
  let store = await open()
  return {
    store,
    async reopen() {
      await store.close()
      store = await open()
      return store
    },
    // Lists of families outlive them by up to one idle life; the key of the health check is no record.
    async countRecords() {
      return (await tenantKeys(servers, tenant)).filter(key => !/:grants$|:check\}$/.test(key)).length
    },
    close: () => store.close(),
  }
}
