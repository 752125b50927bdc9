import { afterAll, beforeAll } from 'vitest'
import { createRedisStore } from './redis.ts'
import { type RedisServer, startRedisServer } from './storage/redis-server.fixture.ts'
import { newTenant, tenantKeys } from './storage/redis-store.fixture.ts'
import { describeSwappedSeals } from './swapped-seals.fixture.ts'

let server: RedisServer
beforeAll(async () => {
  server = await startRedisServer()
})
afterAll(() => server.stop())

/** Which fields of which hashes hold something sealed. */
const places = {
  pending_authorization: [/pending\}:record:/, /^record$/],
  signing_key: [/signing-keys\}/, /^sealed:/],
  grant: [/\}:grant:/, /^replay$/],
} as const

describeSwappedSeals('Redis', async () => {
  const tenant = newTenant()
  const store = await createRedisStore({ url: server.url, tenant })
  return {
    store,
    async find(kind) {
      const [isKey, isField] = places[kind]
      const keys = (await tenantKeys([server.client], tenant)).filter(key => isKey.test(key))
      const hashes = await Promise.all(
        keys.map(async key => ({ key, fields: Object.entries(await server.client.hgetall(key)) })),
      )
      return hashes.flatMap(({ key, fields }) =>
        fields
          .filter(([field]) => isField.test(field))
          .map(([field, text]) => ({
            text,
            write: async (changed: string) => void (await server.client.hset(key, field, changed)),
          })),
      )
    },
    close: () => store.close(),
  }
})
