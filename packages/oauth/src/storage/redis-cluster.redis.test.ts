import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../errors.ts'
import type { Connection } from './records.ts'
import { type RedisCluster, startRedisCluster } from './redis-server.fixture.ts'
import { clusterRights, newTenant, redisUnderTest, storeRights } from './redis-store.fixture.ts'
import { createRedisStore } from './redis-store.ts'
import { describeStoreContract } from './store-contract.ts'

const now = 1_900_000_000

let cluster: RedisCluster
let url: string
beforeAll(async () => {
  cluster = await startRedisCluster({ appendonly: 'yes' })
  for (const { client } of cluster.nodes) {
    await client.acl('SETUSER', 'sallyport', 'on', '>secret', ...storeRights, ...clusterRights)
  }
  url = cluster.url.replace('redis://', 'redis://sallyport:secret@')
})
afterAll(() => cluster.stop())

describeStoreContract('redis store on a cluster of three', () =>
  redisUnderTest(
    { url },
    cluster.nodes.map(({ client }) => client),
  ),
)

describe('redis store on a cluster of three', () => {
  let operations = 0
  const claim = (idHash: string) => ({
    kind: 'jti' as const,
    idHash,
    expiresAt: now + 60,
    operationId: `operation-${operations++}`,
    now,
  })
  const ids = Array.from({ length: 60 }, (_, i) => `id-${i}`)

  it('finds the connections of all users, on every node', async () => {
    const store = await createRedisStore({ url, tenant: newTenant() })
    const connection: Omit<Connection, 'generation'> = {
      version: 1,
      userId: '',
      provider: 'google',
      account: 'default',
      writtenBy: 'write',
      state: 'active',
      scopes: [],
      sealed: 'sealed',
      accessEndsAt: 0,
      updatedAt: now,
      expiresAt: now + 60,
    }
    for (const userId of ids) await store.putConnection({ record: { ...connection, userId }, now })
    const found = new Set<string>()
    let cursor: string | undefined
    do {
      const page = await store.listAllConnections({ cursor, limit: 10, now })
      for (const { userId } of page.connections) found.add(userId)
      cursor = page.cursor
    } while (cursor !== undefined)
    expect([...found].sort()).toEqual([...ids].sort())
    await store.close()
  })

  it('a slot that moves to another node takes its records along, and nothing is claimed twice', async () => {
    const store = await createRedisStore({ url, tenant: newTenant() })
    for (const id of ids) expect(await store.claimSingleUse(claim(id))).toBe('claimed')
    const [from, to] = cluster.nodes as [(typeof cluster.nodes)[0], (typeof cluster.nodes)[0]]
    const fromId = String(await from.client.call('CLUSTER', 'MYID'))
    const toId = String(await to.client.call('CLUSTER', 'MYID'))
    const again: Promise<string>[] = []
    let moved = 0
    for (const key of await from.client.keys('sallyport:*:used:*')) {
      const slot = Number(await from.client.cluster('KEYSLOT', key))
      await to.client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId)
      await from.client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
      for (const one of (await from.client.call('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[]) {
        await from.client.migrate('127.0.0.1', to.port, one, 0, 5_000)
        moved++
      }
      // Between the two: the record is on one node, the slot still belongs to the other.
      again.push(...ids.slice(moved % 10, (moved % 10) + 3).map(id => store.claimSingleUse(claim(id))))
      for (const node of cluster.nodes) await node.client.call('CLUSTER', 'SETSLOT', slot, 'NODE', toId)
    }
    expect(moved).toBeGreaterThan(5)
    expect(new Set(await Promise.all(again))).toEqual(new Set(['used']))
    for (const id of ids) expect(await store.claimSingleUse(claim(id))).toBe('used')
    await store.close()
  })

  it('R166: while a node is away, what lies there is 503 and the rest goes on; afterwards nothing is lost', async () => {
    const [, node] = cluster.nodes
    const store = await createRedisStore({
      url,
      tenant: newTenant(),
      commandTimeoutMs: 200,
      stepTimeoutMs: 400,
    })
    for (const id of ids) expect(await store.claimSingleUse(claim(id))).toBe('claimed')
    node!.freeze()
    const results = await Promise.allSettled(ids.map(id => store.claimSingleUse(claim(id))))
    const refused = results.filter(result => result.status === 'rejected')
    for (const { reason } of refused) expect(reason).toBeInstanceOf(StoreUnavailableError)
    expect(refused.length).toBeGreaterThan(0)
    expect(refused.length).toBeLessThan(ids.length)
    node!.thaw()
    for (const id of ids) {
      const again = () => store.claimSingleUse(claim(id)).catch(() => 'unavailable')
      await expect.poll(again, { timeout: 10_000 }).toBe('used')
    }
    await store.close()
  })

  it('R173: nothing of this needed a right but those in STORAGE.md', async () => {
    for (const { client } of cluster.nodes) expect(await client.acl('LOG')).toEqual([])
    const page = readFileSync(new URL('../../STORAGE.md', import.meta.url), 'utf8')
    expect(page).toContain(`\`${clusterRights.join(' ')}\``)
  })
})
