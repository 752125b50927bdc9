import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectionSealContext, createFileStore, type Store, systemClock } from '@sallyport/oauth'
import { createRedisStore } from '@sallyport/oauth/redis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startRedis } from './support/redis.ts'
import { type RefreshProcess, startRefreshProcess } from './support/refresh-process.ts'
import { createProviderHost, type RefreshSettings } from './support/refresh-settings.ts'

/** A token endpoint that counts how often each refresh token came, and answers at once. */
let server: Server
let origin: string
let seen: Map<string, number>
let processes: RefreshProcess[]
let cleanUps: (() => Promise<unknown>)[]

beforeEach(async () => {
  seen = new Map()
  processes = []
  server = createServer((request, response) => {
    let body = ''
    request.on('data', chunk => {
      body += chunk
    })
    request.on('end', () => {
      const token = new URLSearchParams(body).get('refresh_token') ?? ''
      seen.set(token, (seen.get(token) ?? 0) + 1)
      const [, user, generation] = /^refresh (\S+) (\d+)$/.exec(token) ?? []
      const next = `${user} ${Number(generation) + 1}`
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(
        JSON.stringify({
          access_token: `access-${next.replace(' ', '-')}`,
          refresh_token: `refresh ${next}`,
          expires_in: 3600,
        }),
      )
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  cleanUps = []
})
afterEach(async () => {
  await Promise.all(processes.map(each => each.kill()))
  for (const cleanUp of cleanUps) await cleanUp()
  server.closeAllConnections()
  server.close()
})

/** Stores connections whose access tokens have ended, as the provider made them. */
async function seed(store: Store, userIds: readonly string[]): Promise<void> {
  const { sealer } = createProviderHost(store, systemClock)
  const now = systemClock()
  const put = (userId: string) => {
    const key = { userId, provider: 'google', account: 'default' }
    const grant = {
      accessToken: `access-${userId}-0`,
      receivedAt: now - 4000,
      refreshToken: `refresh ${userId} 0`,
      issuer: 'https://accounts.google.com',
      subject: userId,
    }
    const sealed = sealer.seal(JSON.stringify(grant), connectionSealContext(store.tenant, key))
    const record = {
      version: 1 as const,
      ...key,
      writtenBy: userId,
      state: 'active' as const,
      scopes: [],
      sealed,
      accessEndsAt: now - 400,
      updatedAt: now - 4000,
      expiresAt: now + 86_400,
    }
    return store.putConnection({ record, now })
  }
  for (let i = 0; i < userIds.length; i += 100) await Promise.all(userIds.slice(i, i + 100).map(put))
}

describe.each<[string, number, () => Promise<[RefreshSettings['store'], Store]>]>([
  [
    'Redis',
    600,
    async () => {
      const redis = await startRedis()
      const store = await createRedisStore({ url: redis.url })
      cleanUps.push(() => store.close(), redis.close)
      return [{ redisUrl: redis.url }, store]
    },
  ],
  [
    'the file store',
    60,
    async () => {
      const directory = await mkdtemp(join(tmpdir(), 'sallyport-e2e-many-'))
      const store = createFileStore({ directory })
      cleanUps.push(
        () => store.close(),
        () => rm(directory, { recursive: true, force: true }),
      )
      return [{ directory }, store]
    },
  ],
])('three processes on %s', (_, count, open) => {
  it(`R180: ${count} connections whose tokens have all ended: each refresh token is used once, and everybody is served`, async () => {
    const [storeSettings, store] = await open()
    const userIds = Array.from({ length: count }, (_, i) => `user-${i}`)
    await seed(store, userIds)
    const endpoints = { authorization: origin, token: `${origin}/token`, jwks: origin, issuers: [origin] }
    const settings: RefreshSettings = {
      store: storeSettings,
      kind: 'google',
      issuer: origin,
      apiOrigin: origin,
      clientId: 'client',
      clientSecret: 'secret',
      endpoints: endpoints as RefreshSettings['endpoints'],
    }
    processes = await Promise.all([0, 1, 2].map(() => startRefreshProcess(settings)))
    // All begin with the same connections, so that they meet as often as they can.
    const results = await Promise.all(processes.map(each => each.call(userIds, { parallel: 10 })))
    for (const { tokens, errors } of results) {
      expect(errors).toEqual([])
      expect(new Set(tokens)).toEqual(new Set(userIds.map(userId => `access-${userId}-1`)))
    }
    expect([...seen.values()].filter(times => times !== 1)).toEqual([])
    expect(seen.size).toBe(count)
  }, 120_000)
})
