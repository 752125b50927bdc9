import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  type RedisCluster,
  type RedisServer,
  startRedisCluster,
  startRedisServer,
} from './redis-server.fixture.ts'
import { newTenant } from './redis-store.fixture.ts'
import { createRedisStore } from './redis-store.ts'
import type { Store } from './store.ts'
import { aGrant, now, revoke as revocation } from './store-contract/samples.ts'

/** How fast it is, fleet-revocation.redis.test.ts tells: here a busy machine may take its time. */
const atLast = { timeout: 20_000, interval: 5 }

const grant = (id: string) => aGrant({ id, accessEndsAt: now + 900 })

const revoke = async (store: Store, id: string) => {
  await store.putGrant({ record: grant(id), now })
  expect(await store.revokeGrant(revocation({ id }))).toBe('revoked')
}
const follow = (store: Store) => {
  const heard: string[] = []
  const seen = { heard, synced: 0, stop: () => {} }
  seen.stop = store.watchRevocations({
    onRevoked: ({ grantId }) => heard.push(grantId),
    onSynced: () => seen.synced++,
  })
  return seen
}

/** Two processes, as far as Redis can tell. */
const declareFeedTests = (getUrl: () => string) => {
  let here: Store
  let there: Store
  beforeEach(async () => {
    const tenant = newTenant()
    here = await createRedisStore({ url: getUrl(), tenant, heartbeatMs: 100 })
    there = await createRedisStore({ url: getUrl(), tenant, heartbeatMs: 100 })
  })
  afterEach(async () => {
    await here.close()
    await there.close()
  })

  it('R139: the other process hears of all of them, each once', async () => {
    const { heard } = follow(there)
    const ids = Array.from({ length: 30 }, (_, i) => `family ${i}`)
    for (const id of ids) await revoke(here, id)
    await expect.poll(() => heard.length, atLast).toBe(30)
    expect([...heard].sort()).toEqual([...ids].sort())
  })

  it('R157: whoever follows knows at once that the feed is complete, and again with each heartbeat', async () => {
    const seen = follow(there)
    expect(seen.synced).toBe(1)
    await expect.poll(() => seen.synced, atLast).toBeGreaterThan(2)
    seen.stop()
    const { synced } = seen
    const other = follow(there)
    await expect.poll(() => other.synced, atLast).toBeGreaterThan(2)
    expect(seen.synced).toBe(synced)
  })

  it('changes reach the other process, each once', async () => {
    // No heartbeat meanwhile: on a busy machine one may be late, and a subscription that is made anew misses some.
    const options = { url: getUrl(), tenant: newTenant(), heartbeatMs: 600_000 }
    const [a, b] = [await createRedisStore(options), await createRedisStore(options)]
    const heard: string[] = []
    b.watchChanges({ onChange: sealed => heard.push(sealed), onGap: () => {} })
    const sent = Array.from({ length: 30 }, (_, i) => `change ${i}`)
    for (const sealed of sent) await a.announceChange({ sealed, now })
    await expect.poll(() => heard.length, atLast).toBe(30)
    expect(heard.sort()).toEqual(sent.sort())
    await Promise.all([a.close(), b.close()])
  })

  it('R139: who begins to follow later hears of what is still in force', async () => {
    await revoke(here, 'earlier')
    const first = follow(there)
    await expect.poll(() => first.heard, atLast).toEqual(['earlier'])
    expect(follow(there).heard).toEqual(['earlier'])
  })
}

describe('revocation feed of the redis store', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedisServer()
  })
  afterAll(() => server.stop())
  declareFeedTests(() => server.url)

  const open = (tenant: string) =>
    createRedisStore({ url: server.url, tenant, heartbeatMs: 100, commandTimeoutMs: 200, stepTimeoutMs: 400 })

  it('R157: a lost subscription is made up for: what was revoked meanwhile is heard', async () => {
    const tenant = newTenant()
    const here = await open(tenant)
    const there = await open(tenant)
    const { heard } = follow(there)
    for (let i = 0; i < 5; i++) {
      await server.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await revoke(here, `family-${i}`)
      await expect.poll(() => heard, atLast).toContain(`family-${i}`)
    }
    expect(heard).toHaveLength(5)
    await here.close()
    await there.close()
  })

  it('whoever follows changes is told each time when some may have been lost', async () => {
    const tenant = newTenant()
    const there = await open(tenant)
    let gaps = 0
    there.watchChanges({ onChange: () => {}, onGap: () => gaps++ })
    for (let i = 1; i <= 3; i++) {
      await server.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await expect.poll(() => gaps, atLast).toBeGreaterThanOrEqual(i)
    }
    const heard: string[] = []
    there.watchChanges({ onChange: sealed => heard.push(sealed), onGap: () => {} })
    await there.announceChange({ sealed: 'after', now })
    await expect.poll(() => heard, atLast).toEqual(['after'])
    await there.close()
  })

  it('R157: a message that never came is made up for with the next heartbeat', async () => {
    const tenant = newTenant()
    const here = await open(tenant)
    const there = await open(tenant)
    const { heard } = follow(there)
    await server.client.zadd(`sallyport:{${tenant}:grants:A}:revocations`, `${now + 900}`, 'unannounced')
    await expect.poll(() => heard, atLast).toEqual(['unannounced'])
    await here.close()
    await there.close()
  })

  it('R157: a frozen Redis is silence, which its followers can notice; afterwards the feed is whole again', async () => {
    const tenant = newTenant()
    const there = await open(tenant)
    const seen = follow(there)
    server.freeze()
    // A beat that had been answered before may still be on its way.
    await expect(there.check()).rejects.toThrow()
    const { synced } = seen
    await expect(there.check()).rejects.toThrow()
    expect(seen.synced).toBe(synced)
    server.thaw()
    await expect.poll(() => seen.synced, { timeout: 20_000 }).toBeGreaterThan(synced)
    const here = await open(tenant)
    await revoke(here, 'after')
    await expect.poll(() => seen.heard, atLast).toEqual(['after'])
    await here.close()
    await there.close()
  })

  it('messages that are not ours are not heard', async () => {
    const tenant = newTenant()
    const there = await open(tenant)
    const { heard } = follow(there)
    const channel = `sallyport:${tenant}:revocations`
    for (const message of [
      '',
      'family',
      '1 ',
      'x family',
      '{"grantId":"family"}',
      '99999999999999999999 f',
    ]) {
      expect(await server.client.publish(channel, message)).toBe(1)
    }
    await server.client.publish(channel, `${now + 900} ours`)
    await expect.poll(() => heard, atLast).toEqual(['ours'])
    await there.close()
  })
})

describe('revocation feed on a cluster of three', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startRedisCluster()
  })
  afterAll(() => cluster.stop())
  declareFeedTests(() => cluster.url)
})
