import { afterEach, describe, expect, it } from 'vitest'
import { ConfigurationError } from '../errors.ts'
import type { SallyportEvent } from '../events.ts'
import { createKeys } from './keys.ts'
import { type RedisProxy, startRedisProxy } from './redis-proxy.fixture.ts'
import { type RedisServer, startRedisCluster, startRedisServer } from './redis-server.fixture.ts'
import { newTenant, storeRights } from './redis-store.fixture.ts'
import { createRedisStore, type RedisStoreOptions } from './redis-store.ts'
import type { Store } from './store.ts'
import {
  aConnection,
  aGrant,
  aSigningKey,
  now,
  operation,
  redeem,
  rotate as rotation,
} from './store-contract/samples.ts'

/** Long enough for any machine: nothing here waits for its end. */
const patient = { stepTimeoutMs: 20_000, commandTimeoutMs: 10_000, heartbeatMs: 60_000 }

const grant = aGrant()
const connection = aConnection({ writtenBy: 'first' })
const signingKey = aSigningKey('kid')
const rotate = (generation: number) => rotation(generation, { graceSeconds: 0 })

const ending: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end()
})
const start = async (config: Record<string, string> = {}): Promise<RedisServer> => {
  const server = await startRedisServer({ appendonly: 'yes', 'repl-diskless-sync-delay': '0', ...config })
  ending.push(() => server.stop())
  return server
}
const proxyTo = async (target: { port: number }): Promise<RedisProxy> => {
  const proxy = await startRedisProxy(target)
  ending.push(() => proxy.close())
  return proxy
}
const open = async (options: Partial<RedisStoreOptions> & { url: string }) => {
  const events: SallyportEvent[] = []
  const warnings: string[] = []
  const store = await createRedisStore({
    ...patient,
    tenant: newTenant(),
    onWarning: sentence => warnings.push(sentence),
    onEvent: event => events.push(event),
    ...options,
  })
  ending.push(() => store.close())
  return { store, events, warnings }
}
const hasReplica = (server: RedisServer) =>
  expect.poll(() => server.client.info('replication'), { timeout: 20_000 }).toContain('state=online')

/** A master, its replica behind a cable that can be cut, and a replica of that replica. */
async function startReplicated() {
  const master = await start()
  const cable = await proxyTo(master)
  const replica = await start({ replicaof: `127.0.0.1 ${cable.port}` })
  await hasReplica(master)
  const target = { port: master.port }
  const front = await proxyTo(target)
  return {
    master,
    replica,
    cable,
    url: front.url,
    /** As sentinels do when a master dies. */
    async failOver() {
      await master.kill()
      await replica.client.replicaof('NO', 'ONE')
      target.port = replica.port
    },
  }
}
/** Until a connection of the store waits for the replica. */
const isWaiting = (server: RedisServer) =>
  expect
    .poll(async () => String(await server.client.client('LIST')), { timeout: 20_000 })
    .toMatch(/ flags=b .* cmd=wait/)

const steps: Record<
  string,
  { before?: (store: Store) => Promise<unknown>; take: (store: Store) => unknown }
> = {
  putConnection: { take: store => store.putConnection({ record: connection, now }) },
  replaceConnection: {
    before: store => store.putConnection({ record: connection, now }),
    take: store =>
      store.replaceConnection({ record: { ...connection, writtenBy: 'second' }, generation: 1, now }),
  },
  deleteConnection: {
    before: store => store.putConnection({ record: connection, now }),
    take: store => store.deleteConnection({ ...connection, now }),
  },
  redeemCode: {
    before: store => store.putGrant({ record: grant, now }),
    take: store => store.redeemCode(redeem()),
  },
  rotateRefreshToken: {
    async before(store) {
      await store.putGrant({ record: grant, now })
      await store.redeemCode(redeem())
    },
    take: store => store.rotateRefreshToken(rotate(0)),
  },
  revokeGrant: {
    before: store => store.putGrant({ record: grant, now }),
    take: store => store.revokeGrant({ id: 'family', reason: 'user', now, ...operation() }),
  },
  putDisabledUser: { take: store => store.putDisabledUser({ userId: 'user', expiresAt: now + 60, now }) },
  putSignOut: { take: store => store.putSignOut({ userId: 'user', at: now, expiresAt: now + 60, now }) },
  putClientTombstone: {
    take: store => store.putClientTombstone({ clientIdHash: 'hash', expiresAt: now + 60, now }),
  },
  putSigningKey: {
    take: store => store.putSigningKey({ record: signingKey, newestKid: undefined, now }),
  },
}
/** All there is, for comparing two servers. */
async function contents({ client }: RedisServer) {
  const read: Record<string, (key: string) => Promise<unknown>> = {
    hash: async key => {
      const { ...fields } = await client.hgetall(key)
      // Deleted behind the back of whoever rotated: nobody waits for that.
      for (const name of Object.keys(fields)) if (name.startsWith('unheard:')) delete fields[name]
      return fields
    },
    zset: key => client.call('ZRANGE', key, 0, -1, 'WITHSCORES'),
    string: key => client.get(key),
  }
  const keys = await client.keys('*')
  const values = await Promise.all(keys.map(async key => [key, await read[await client.type(key)]!(key)]))
  return Object.fromEntries(values) as Record<string, unknown>
}

describe('waitFor: replica', () => {
  it.each(Object.entries(steps))(
    'R167: %s is told when the replica has it, and not before',
    async (_, step) => {
      const { master, replica, cable, url } = await startReplicated()
      const { store, events, warnings } = await open({ url, waitFor: 'replica' })
      await step.before?.(store)
      cable.hang()
      let isTold = false
      const taken = Promise.resolve(step.take(store)).then(() => {
        isTold = true
      })
      await isWaiting(master)
      expect(isTold).toBe(false)
      cable.release()
      await taken
      expect(await contents(replica)).toEqual(await contents(master))
      expect({ events, warnings }).toEqual({ events: [], warnings: [] })
    },
  )

  it('R167: what the replica had not received when its master died is written again, so nobody signs in again', async () => {
    const { master, replica, cable, url, failOver } = await startReplicated()
    const second = await start({ replicaof: `127.0.0.1 ${replica.port}` })
    await hasReplica(replica)
    const { store, events } = await open({ url, waitFor: 'replica' })
    await store.putGrant({ record: grant, now })
    expect(await store.redeemCode(redeem())).toBe('redeemed')
    const generation = await store.putConnection({ record: connection, now })
    cable.hang()
    const rotating = store.rotateRefreshToken(rotate(0))
    const replacing = store.replaceConnection({
      record: { ...connection, writtenBy: 'second', sealed: 'the only tokens that work' },
      generation,
      now,
    })
    await isWaiting(master)
    await failOver()
    expect(await rotating).toEqual({ outcome: 'rotated' })
    expect(await replacing).toBe('replaced')
    expect((await store.findGrant({ id: 'family', now }))?.refresh?.currentHash).toBe('refresh-1')
    expect(await store.findConnection({ ...connection, now })).toMatchObject({
      sealed: 'the only tokens that work',
      generation: generation + 1,
    })
    expect(await store.rotateRefreshToken(rotate(1))).toEqual({ outcome: 'rotated' })
    expect(await contents(second)).toEqual(await contents(replica))
    expect(events).toEqual([])
  })

  it('R167: without it, the session whose rotation the replica had not received is taken for stolen', async () => {
    const { master, replica, cable, url, failOver } = await startReplicated()
    const { store } = await open({ url })
    await store.putGrant({ record: grant, now })
    expect(await store.redeemCode(redeem())).toBe('redeemed')
    const before = await contents(master)
    await expect.poll(() => contents(replica), { timeout: 20_000 }).toEqual(before)
    cable.hang()
    expect(await store.rotateRefreshToken(rotate(0))).toEqual({ outcome: 'rotated' })
    await failOver()
    expect(await store.rotateRefreshToken(rotate(1))).toEqual({ outcome: 'reused' })
  })

  it('R167: where no replica answers, steps count all the same, and it is said at start and once a minute', async () => {
    const { url } = await start()
    const { store, events, warnings } = await open({ url, waitFor: 'replica', stepTimeoutMs: 4_000 })
    expect(warnings).toEqual([expect.stringContaining('SESSION_REDIS_WAIT_FOR waits for a replica')])
    await store.putGrant({ record: grant, now })
    expect(await store.redeemCode(redeem())).toBe('redeemed')
    expect(await store.rotateRefreshToken(rotate(0))).toEqual({ outcome: 'rotated' })
    expect(events).toEqual([{ type: 'store_write_unconfirmed', kind: 'replica' }])
  })

  it('confirms many steps with few waits', async () => {
    const { master, cable, url } = await startReplicated()
    const { store } = await open({ url, waitFor: 'replica' })
    await master.client.config('RESETSTAT')
    cable.hang()
    const users = Array.from({ length: 50 }, (_, i) => `user-${i}`)
    const written = users.map(userId => store.putConnection({ record: { ...connection, userId }, now }))
    await isWaiting(master)
    cable.release()
    expect(await Promise.all(written)).toEqual(users.map(() => 1))
    const [, calls] = /cmdstat_wait:calls=(\d+)/.exec(await master.client.info('commandstats')) ?? []
    expect(Number(calls)).toBeGreaterThan(0)
    expect(Number(calls)).toBeLessThan(10)
  })

  it('a refused request, which has written nothing, waits for nobody', async () => {
    const { url, cable } = await startReplicated()
    const { store } = await open({ url, waitFor: 'replica' })
    await store.putGrant({ record: grant, now })
    cable.hang()
    expect(await store.rotateRefreshToken({ ...rotate(0), genuine: false })).toEqual({ outcome: 'unknown' })
    expect(await store.redeemCode({ ...redeem(), codeHash: 'other' })).toBe('unknown')
    await store.countFailedRedemption({ id: 'family', codeHash: 'code', limit: 5, now, ...operation() })
    expect(await store.replaceConnection({ record: connection, generation: 1, now })).toBe('stale')
  })

  it('R173: needs the right to wait besides those of the list, and says so when it lacks it', async () => {
    const { master } = await startReplicated()
    await master.client.acl('SETUSER', 'waiter', 'on', '>secret', ...storeRights)
    const url = `redis://waiter:secret@127.0.0.1:${master.port}`
    const failure = await open({ url, waitFor: 'replica' }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(ConfigurationError)
    expect(String(failure)).toContain('lacks a right the store needs')
    await master.client.acl('SETUSER', 'waiter', '+wait')
    await master.client.acl('LOG', 'RESET')
    const { store } = await open({ url, waitFor: 'replica' })
    expect(await store.putConnection({ record: connection, now })).toBe(1)
    expect(await master.client.acl('LOG')).toEqual([])
  })

  it('in a cluster each step waits for the replica of its own master', async () => {
    const cluster = await startRedisCluster({ appendonly: 'yes', 'repl-diskless-sync-delay': '0' }, 1)
    ending.push(cluster.stop)
    const masters = cluster.nodes.slice(0, 3)
    for (const master of masters) await hasReplica(master)
    const tenant = newTenant()
    const { store, events, warnings } = await open({ url: cluster.url, tenant, waitFor: 'replica' })
    const users = Array.from({ length: 20 }, (_, i) => `user-${i}`)
    for (const userId of users) {
      expect(await store.putConnection({ record: { ...connection, userId }, now })).toBe(1)
    }
    const { confirmation, connections } = createKeys(tenant)
    const found = await Promise.all(
      cluster.nodes.map(async ({ client }) => {
        await client.readonly()
        const keys = await client.keys('*')
        return users.filter(
          userId => keys.includes(connections(userId)) && keys.includes(confirmation(connections(userId))),
        )
      }),
    )
    // On a master and on its replica; a key that was confirmed before is on both since.
    for (const userId of users) expect(found.filter(list => list.includes(userId)).length).toBe(2)
    expect({ events, warnings }).toEqual({ events: [], warnings: [] })
  })
})

describe('waitFor: disk, replica-disk', () => {
  it.each([
    [
      '7.0.15',
      '1',
      /^Error: SESSION_REDIS_WAIT_FOR is disk, and Redis 7\.0\.15 cannot wait for disks: use 7\.2/,
    ],
    [
      '7.2.4',
      '0',
      /^Error: SESSION_REDIS_WAIT_FOR is disk, and Redis keeps no append-only file: turn appendonly on/,
    ],
  ])(
    'is refused by a Redis %s with aof_enabled %s, in a sentence that says what to change',
    async (version, aof, sentence) => {
      const server = await start()
      const proxy = await proxyTo(server)
      const info = `redis_version:${version}\r\nmaxmemory_policy:noeviction\r\naof_enabled:${aof}`
      proxy.answer('\r\ninfo\r\n', `$${info.length}\r\n${info}`, 1)
      const failure = await open({ url: proxy.url, waitFor: 'disk' }).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(ConfigurationError)
      expect(String(failure).replace('ConfigurationError', 'Error')).toMatch(sentence)
    },
  )

  it.each(['disk', 'replica-disk'] as const)(
    'R167: %s: this Redis confirms what is on disk, or is too old and says so',
    async waitFor => {
      const { master, url } = await startReplicated()
      const opened = open({ url, waitFor })
      const version = /redis_version:(\d+)\.(\d+)/.exec(await master.client.info('server'))!.map(Number)
      if (version[1]! < 7 || (version[1] === 7 && version[2]! < 2)) {
        await expect(opened).rejects.toThrow('cannot wait for disks')
        return
      }
      const { store, events, warnings } = await opened
      expect(await store.putConnection({ record: connection, now })).toBe(1)
      expect({ events, warnings }).toEqual({ events: [], warnings: [] })
    },
  )
})
