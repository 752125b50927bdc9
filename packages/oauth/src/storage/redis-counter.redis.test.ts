import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { issuer, pageLogin } from '../authorization-server.fixture.ts'
import { createAuthorizationServer } from '../authorization-server.ts'
import type { RecordedEvent } from '../events.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import type { RedisCluster, RedisServer } from './redis-server.fixture.ts'
import { startRedisCluster, startRedisServer } from './redis-server.fixture.ts'
import { clusterRights, newTenant, passTime, storeRights, tenantKeys } from './redis-store.fixture.ts'
import { createRedisStore } from './redis-store.ts'
import type { Store } from './store.ts'

let server: RedisServer
beforeAll(async () => {
  server = await startRedisServer()
})
afterAll(() => server.stop())

const limit = { name: 'register', windowSeconds: 60 }

describe('counting in Redis', () => {
  const opened: Store[] = []
  const open = async (tenant: string) => {
    const store = await createRedisStore({ url: server.url, tenant, onWarning: () => {} })
    opened.push(store)
    return store
  }
  afterAll(() => Promise.all(opened.map(store => store.close())))

  it('R22: all processes on one Redis count together, and other tenants do not', async () => {
    const tenant = newTenant()
    const first = (await open(tenant)).createWindowCounter!(limit)
    const second = (await open(tenant)).createWindowCounter!(limit)
    const other = (await open(newTenant())).createWindowCounter!(limit)
    const counts = await Promise.all(
      Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? first : second).add('source')),
    )
    expect(counts.map(({ count }) => count).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 40 }, (_, i) => i + 1),
    )
    const read = await second.read('source')
    expect(read.count).toBe(40)
    expect(read.endsInMs).toBeGreaterThan(0)
    expect(read.endsInMs).toBeLessThanOrEqual(60_000)
    expect(await other.read('source')).toEqual({ count: 0, endsInMs: 0 })
  })

  it('R22: a window ends, and nothing of it stays in Redis', async () => {
    const tenant = newTenant()
    const store = await open(tenant)
    const before = await tenantKeys([server.client], tenant)
    const counter = store.createWindowCounter!(limit)
    await counter.add('a')
    await counter.add('b')
    expect((await tenantKeys([server.client], tenant)).length).toBe(before.length + 2)
    await passTime([server.client], tenant, 61)
    expect(await counter.read('a')).toEqual({ count: 0, endsInMs: 0 })
    expect((await counter.add('a')).count).toBe(1)
    await passTime([server.client], tenant, 61)
    expect((await tenantKeys([server.client], tenant)).filter(key => key.includes('limit:'))).toEqual([])
  })

  it('two limits do not count each other', async () => {
    const store = await open(newTenant())
    await store.createWindowCounter!(limit).add('source')
    expect((await store.createWindowCounter!({ ...limit, name: 'token' }).read('source')).count).toBe(0)
  })

  const authorizationServer = (store: Store) => {
    const events: RecordedEvent[] = []
    const server = createAuthorizationServer({
      issuer,
      serverName: 'Notes',
      resources: [`${issuer}/mcp`],
      scopes: { 'notes:read': 'Read your notes' },
      defaultScopes: ['notes:read'],
      secrets: createSecretRing(['canary-ring-secret-0123456789-0123456789']),
      signIn: pageLogin,
      store,
      onEvent: event => void events.push(event),
    })
    const register = async (remoteAddress: string) => {
      const request = new Request(`${issuer}/oauth/register`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ redirect_uris: ['https://client.example/cb'] }),
      })
      return (await server.handle(request, { remoteAddress }))!.status
    }
    return { register, events }
  }

  it('R22: a second process is no way around the limit, and Redis learns no address', async () => {
    const tenant = newTenant()
    const first = authorizationServer(await open(tenant))
    const second = authorizationServer(await open(tenant))
    const statuses: number[] = []
    for (let i = 0; i < 100; i++) {
      statuses.push(await (i % 2 === 0 ? first : second).register(`2001:db8:1:2::${i}`))
    }
    expect(statuses.filter(status => status === 201)).toHaveLength(60)
    expect([...first.events, ...second.events].filter(({ type }) => type === 'limit_hit')).toHaveLength(1)
    const keys = (await tenantKeys([server.client], tenant)).filter(key => key.includes('limit:'))
    expect(keys).toHaveLength(1)
    expect(keys.join()).not.toContain('2001:db8')
  })

  it('R22: while Redis stands still nobody is locked out or let off, and it is said', async () => {
    const { register, events } = authorizationServer(await open(newTenant()))
    expect(await register('198.51.100.7')).toBe(201)
    server.freeze()
    try {
      const statuses: number[] = []
      for (let i = 0; i < 100; i++) statuses.push(await register('198.51.100.7'))
      // Of those that this process has counted by itself.
      expect(statuses.filter(status => status === 201)).toHaveLength(60)
      expect(statuses.filter(status => status === 429)).toHaveLength(40)
      expect(events).toContainEqual(
        expect.objectContaining({ type: 'store_unavailable', step: 'rate limit' }),
      )
    } finally {
      server.thaw()
    }
  })
})

describe('counting in a cluster', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startRedisCluster()
    for (const { client } of cluster.nodes) {
      await client.acl('SETUSER', 'sallyport', 'on', '>secret', ...storeRights, ...clusterRights)
    }
  })
  afterAll(() => cluster.stop())

  it('R22: counts wherever the key lies', async () => {
    const url = cluster.url.replace('redis://', 'redis://sallyport:secret@')
    const store = await createRedisStore({ url, tenant: newTenant(), onWarning: () => {} })
    const counter = store.createWindowCounter!(limit)
    for (let i = 0; i < 30; i++) {
      expect((await counter.add(`source-${i}`)).count).toBe(1)
      expect((await counter.add(`source-${i}`)).count).toBe(2)
      expect((await counter.read(`source-${i}`)).count).toBe(2)
    }
    await store.close()
  })
})
