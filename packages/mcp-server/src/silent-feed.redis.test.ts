import { createRedisStore, type RedisStoreOptions } from '@sallyport/oauth/redis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type RedisProxy, startRedisProxy } from '../../oauth/src/storage/redis-proxy.fixture.ts'
import { type RedisServer, startRedisServer } from '../../oauth/src/storage/redis-server.fixture.ts'
import { createServer, developmentSignIn } from './index.ts'
import { createTestClient } from './sign-in.fixture.ts'

const origin = 'http://localhost:3000'

let redis: RedisServer
let proxy: RedisProxy
beforeAll(async () => {
  redis = await startRedisServer()
  proxy = await startRedisProxy(redis)
})
afterAll(async () => {
  await proxy.close()
  await redis.stop()
})

it('R157: a tool call is 503 when revocations have not been heard of for 60 s, not 401 and not served; afterwards 401', async () => {
  let now = 1_800_000_000
  const open = async (options: RedisStoreOptions) => {
    const store = await createRedisStore(options)
    const server = createServer({
      name: 'one of two',
      version: '1.0.0',
      signIn: developmentSignIn(),
      store,
      secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
      environment: { LOG_LEVEL: 'silent' },
      clock: () => now,
    })
    server.tool('whoami', { description: 'Names you', auth: {}, run: (_, { caller }) => caller.userId })
    return { server, close: () => server.close().then(() => store.close()) }
  }
  const one = await open({ url: redis.url })
  const deaf = await open({ url: proxy.url, heartbeatMs: 100, commandTimeoutMs: 200, stepTimeoutMs: 400 })
  const client = createTestClient(request => one.server.fetch(request), origin)
  const atDeaf = createTestClient(request => deaf.server.fetch(request), origin)
  const { access_token: token, refresh_token: refresh } = await client.signIn()
  const call = async () => (await atDeaf.call('whoami', {}, token)).status
  await expect.poll(call, { timeout: 20_000 }).toBe(200)

  proxy.hang()
  expect(await client.revoke(String(refresh))).toBe(200)
  now += 60
  expect(await call(), 'what it last knew').toBe(200)
  now += 1
  const refused = await atDeaf.call('whoami', {}, token)
  expect(refused.status).toBe(503)
  expect(refused.headers.get('Retry-After')).toMatch(/^[1-9]\d*$/)
  expect(await refused.json()).toMatchObject({ error: 'temporarily_unavailable' })

  proxy.release()
  await expect.poll(call, { timeout: 20_000 }).toBe(401)
  await deaf.close()
  await one.close()
})
