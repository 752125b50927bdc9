import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SallyportEvent } from '../events.ts'
import { createKeys } from './keys.ts'
import { createMemoryStore } from './memory-store.ts'
import type { Grant } from './records.ts'
import { type RedisServer, startRedisServer } from './redis-server.fixture.ts'
import { newTenant, passTime, redisUnderTest, storeRights, tenantKeys } from './redis-store.fixture.ts'
import { createRedisStore } from './redis-store.ts'
import type { Store } from './store.ts'
import {
  aConnection,
  aGrant,
  aPendingAuthorization,
  aSigningKey,
  now,
  operation,
  redeem as redemption,
  rotate as rotation,
} from './store-contract/samples.ts'
import { describeStoreContract } from './store-contract.ts'

let server: RedisServer
let url: string
beforeAll(async () => {
  server = await startRedisServer({ appendonly: 'yes' })
  await server.client.acl('SETUSER', 'sallyport', 'on', '>secret', ...storeRights)
  url = `redis://sallyport:secret@127.0.0.1:${server.port}`
})
afterAll(() => server.stop())

describeStoreContract('redis store', () => redisUnderTest({ url }, [server.client]))

describe('redis store', () => {
  it('R173: the whole contract needed no right but those in STORAGE.md', async () => {
    expect(await server.client.acl('LOG')).toEqual([])
    const page = readFileSync(new URL('../../STORAGE.md', import.meta.url), 'utf8')
    const [, documented = ''] = /ACL SETUSER sallyport on >… ([^`]+)/.exec(page) ?? []
    expect(documented.split(/\s+/).filter(Boolean)).toEqual(storeRights)
  })

  it('R173: nor does counting for rate limits', async () => {
    const store = await createRedisStore({ url, tenant: newTenant() })
    const counter = store.createWindowCounter!({ name: 'token', windowSeconds: 60 })
    await counter.add('source')
    expect((await counter.read('source')).count).toBe(1)
    expect(await server.client.acl('LOG')).toEqual([])
    await store.close()
  })

  const grant = (over: Partial<Grant> = {}) => aGrant({ endsAt: 0, ...over })
  const redeem = (id: string) => redemption({ id })
  const rotate = (id: string, generation: number, at = now) =>
    rotation(generation, { id, idleEndsAt: at + 86_400, accessEndsAt: at + 900, now: at })

  const withStore = async (
    use: (store: Store, tenant: string, events: SallyportEvent[]) => Promise<void>,
  ) => {
    const tenant = newTenant()
    const events: SallyportEvent[] = []
    const store = await createRedisStore({ url, tenant, onEvent: event => events.push(event) })
    try {
      await use(store, tenant, events)
    } finally {
      await store.close()
    }
  }
  const everyKind = async (store: Store, id: string) => {
    await store.findOrPutUser({ identityHash: id, userId: id, expiresAt: now + 86_400, now })
    await store.putClientTombstone({ clientIdHash: id, expiresAt: now + 60, now })
    await store.putPendingAuthorization({ record: aPendingAuthorization({ id }), limit: 1_000, now })
    const next = aPendingAuthorization({ id, step: 1 })
    await store.stepPendingAuthorization({ id, fromStep: 0, next, now, ...operation() })
    await store.putGrant({ record: grant({ id, userId: id }), now })
    expect(await store.redeemCode(redeem(id))).toBe('redeemed')
    expect(await store.rotateRefreshToken(rotate(id, 0))).toEqual({ outcome: 'rotated' })
    await store.revokeGrant({ id, reason: 'user', now, ...operation() })
    await store.putConnection({ record: aConnection({ userId: id }), now })
    await store.claimSingleUse({ kind: 'jti', idHash: id, expiresAt: now + 60, now, ...operation() })
    const newestKid = (await store.listSigningKeys({ now })).at(-1)?.kid
    await store.putSigningKey({ record: aSigningKey(id), newestKid, now })
    await store.check()
  }

  it('R170: every key has an end, and after all have passed the key count is back at its base line', () =>
    withStore(async (store, tenant) => {
      for (let i = 0; i < 20; i++) await everyKind(store, `id-${i}`)
      const keys = await tenantKeys([server.client], tenant)
      expect(keys.length).toBeGreaterThan(100)
      const ttls = await Promise.all(keys.map(key => server.client.ttl(key)))
      for (const [i, ttl] of ttls.entries()) {
        const isForKeys = keys[i] === createKeys(tenant).signingKeys()
        expect(ttl, keys[i]).toBeGreaterThan(0)
        // A day of idle time, at most twice on the lists.
        expect(ttl, keys[i]).toBeLessThanOrEqual(isForKeys ? 34_560_000 : 2 * 86_400 + 60)
      }
      await passTime([server.client], tenant, 2 * 86_400 + 60)
      await store.check()
      expect(await tenantKeys([server.client], tenant)).toEqual(
        [createKeys(tenant).check(), createKeys(tenant).signingKeys()].sort(),
      )
    }))

  it('R170: a family is one key however often it rotates, and its lists are written once a day', () =>
    withStore(async (store, tenant) => {
      await store.putGrant({ record: grant(), now })
      expect(await store.redeemCode(redeem('family'))).toBe('redeemed')
      const list = createKeys(tenant).grantsOf({ userId: 'user' })
      const scores = new Set<string | null>()
      for (let i = 0; i < 100; i++) {
        const at = now + i * 900
        expect(await store.rotateRefreshToken(rotate('family', i, at))).toEqual({ outcome: 'rotated' })
        scores.add(await server.client.zscore(list, 'family'))
        // Whoever lists families finds it until it ends.
        const found = await store.listGrants({ userId: 'user', now: at + 86_399 })
        expect(found.map(({ id }) => id)).toEqual(['family'])
      }
      // A hundred quarters of an hour are a day and an hour.
      expect(scores.size).toBe(2)
      await passTime([server.client], tenant, 180)
      expect((await tenantKeys([server.client], tenant)).length).toBe(3)
    }))

  it('R170: lists drop families that have ended when one is added', () =>
    withStore(async (store, tenant) => {
      for (let i = 0; i < 10; i++) await store.putGrant({ record: grant({ id: `family-${i}` }), now })
      const list = createKeys(tenant).grantsOf({ clientId: 'client' })
      expect(await server.client.zcard(list)).toBe(10)
      const later = now + 700
      const code = { ...grant().code, expiresAt: later + 600 }
      await store.putGrant({ record: grant({ id: 'later', code }), now: later })
      expect(await server.client.zrange(list, '0', '-1')).toEqual(['later'])
    }))

  it('a family that was listed but never written is not found', () =>
    withStore(async (store, tenant) => {
      await server.client.zadd(
        createKeys(tenant).grantsOf({ userId: 'user' }),
        `${now + 600}`,
        'never written',
      )
      expect(await store.listGrants({ userId: 'user', now })).toEqual([])
    }))

  it('R164: scripts that Redis has forgotten are sent again in full', () =>
    withStore(async store => {
      await server.client.script('FLUSH')
      await everyKind(store, 'id')
    }))

  describe('R172: what is not ours or is damaged counts as absent, and somebody is told', () => {
    const keys = (tenant: string) => createKeys(tenant)
    const absent: [
      string,
      string,
      (tenant: string) => string,
      (store: Store) => Promise<unknown>,
      unknown,
    ][] = [
      ['grant', 'grant', t => keys(t).grant('id'), s => s.findGrant({ id: 'id', now }), undefined],
      [
        'rotation',
        'grant',
        t => keys(t).grant('id'),
        s => s.rotateRefreshToken(rotate('id', 0)),
        { outcome: 'unknown' },
      ],
      ['redemption', 'grant', t => keys(t).grant('id'), s => s.redeemCode(redeem('id')), 'unknown'],
      [
        'list of families',
        'grant',
        t => keys(t).grantsOf({ userId: 'id' }),
        s => s.listGrants({ userId: 'id', now }),
        [],
      ],
      [
        'pending authorization',
        'pending_authorization',
        t => keys(t).pendingAuthorization('id'),
        s => s.findPendingAuthorization({ id: 'id', now }),
        undefined,
      ],
      [
        'connection',
        'connection',
        t => keys(t).connections('id'),
        s => s.findConnection({ userId: 'id', provider: 'google', account: 'default', now }),
        undefined,
      ],
      [
        'connections',
        'connection',
        t => keys(t).connections('id'),
        s => s.listConnections({ userId: 'id', now }),
        [],
      ],
      [
        'all connections',
        'connection',
        t => keys(t).connections('id'),
        async s => {
          const found = []
          let cursor: string | undefined
          do {
            const page = await s.listAllConnections({ cursor, limit: 1_000, now })
            found.push(...page.connections)
            cursor = page.cursor
          } while (cursor !== undefined)
          return found
        },
        [],
      ],
      ['signing keys', 'signing_key', t => keys(t).signingKeys(), s => s.listSigningKeys({ now }), []],
      ['revocations', 'revocation', t => keys(t).revocations('id'), s => s.listRevocations({ now }), []],
    ]

    it.each(absent)('%s of a foreign type', (_, kind, nameKey, ask, answer) =>
      withStore(async (store, tenant, events) => {
        await everyKind(store, 'id')
        const key = nameKey(tenant)
        await server.client.del(key)
        await server.client.lpush(key, 'foreign')
        await server.client.expire(key, 60)
        expect(await ask(store)).toEqual(answer)
        expect(events).toContainEqual({ type: 'record_unreadable', kind })
        expect(await server.client.lrange(key, 0, -1), 'left as it is').toEqual(['foreign'])
      }),
    )

    it.each(absent.filter(([name]) => !/revocations|list|rotation|redemption/.test(name)))(
      '%s with a damaged record',
      (_, kind, nameKey, ask, answer) =>
        withStore(async (store, tenant, events) => {
          await everyKind(store, 'id')
          const key = nameKey(tenant)
          for (const field of await server.client.hkeys(key)) {
            const value = (await server.client.hget(key, field))!
            await server.client.hset(key, field, value.replace(/\{.*/s, '{"version":2}'))
          }
          expect(await ask(store)).toEqual(answer)
          expect(events).toContainEqual({ type: 'record_unreadable', kind })
        }),
    )

    it.each(['codeExpiresAt', 'accessEndsAt', 'endsAt', 'idleEndsAt', 'generation', 'codeFailures'])(
      'a grant whose %s is no number is nobody’s to rotate',
      field =>
        withStore(async (store, tenant, events) => {
          await store.putGrant({ record: grant(), now })
          expect(await store.redeemCode(redeem('family'))).toBe('redeemed')
          await server.client.hset(createKeys(tenant).grant('family'), field, 'many')
          expect(await store.findGrant({ id: 'family', now })).toBeUndefined()
          expect(events).toContainEqual({ type: 'record_unreadable', kind: 'grant' })
          expect(await store.rotateRefreshToken(rotate('family', 0))).toEqual({ outcome: 'unknown' })
        }),
    )

    it('a task of a caller is then absent', () =>
      withStore(async (store, tenant, events) => {
        const key = { callerHash: 'caller', idHash: 'id' }
        const name = createKeys(tenant).callTask(key)
        for (const value of ['', 'x', '1:9999999999:', '0:9999999999:sealed']) {
          await server.client.set(name, value, 'EX', 60)
          expect(await store.findCallTask({ ...key, now }), value).toBeUndefined()
        }
        await server.client.del(name)
        await server.client.lpush(name, 'foreign')
        expect(await store.findCallTask({ ...key, now })).toBeUndefined()
        expect(await store.replaceCallTask({ ...key, sealed: 'anew', generation: 1, now })).toBe('stale')
        expect(events).toEqual(Array(6).fill({ type: 'record_unreadable', kind: 'call_task' }))
      }))

    it('a circuit is then closed, and a lease free', () =>
      withStore(async (store, tenant, events) => {
        const keys = createKeys(tenant)
        for (const value of ['', 'x', '1:9999999999:{', '1:9999999999:{"version":2}']) {
          await server.client.set(keys.circuit('id'), value, 'EX', 60)
          expect(await store.findCircuit({ id: 'id', now }), value).toBeUndefined()
        }
        await server.client.del(keys.circuit('id'))
        await server.client.lpush(keys.circuit('id'), 'foreign')
        expect(await store.findCircuit({ id: 'id', now })).toBeUndefined()
        expect(events).toEqual(Array(5).fill({ type: 'record_unreadable', kind: 'circuit' }))
        const lease = { kind: 'connection_refresh', id: 'id', endsAt: now + 30, takesOver: false } as const
        await server.client.set(keys.lease(lease.kind, 'id'), '9999999999:x:owner', 'EX', 60)
        expect(await store.claimLease({ ...lease, owner: 'owner', now })).toMatchObject({
          outcome: 'claimed',
        })
      }))

    it('an unreadable mark is still a mark: nobody gets a second use out of it', () =>
      withStore(async (store, tenant) => {
        const claim = () =>
          store.claimSingleUse({ kind: 'jti', idHash: 'id', expiresAt: now + 60, now, ...operation() })
        expect(await claim()).toBe('claimed')
        const key = createKeys(tenant).singleUse('jti', 'id')
        for (const value of ['', 'x', ':', '1900000060']) {
          await server.client.set(key, value, 'EX', 60)
          expect(await claim(), value).toBe('used')
        }
        await server.client.del(key)
        await server.client.lpush(key, 'foreign')
        expect(await claim()).toBe('used')
        await server.client.set(createKeys(tenant).clientTombstone('client'), 'x', 'EX', 60)
        expect(await store.isClientDeleted({ clientIdHash: 'client', now })).toBe(true)
        await server.client.del(key)
      }))
  })

  type Action = { type: string; id: string; generation: number; wait: number; again: boolean; flag: boolean }
  const action: fc.Arbitrary<Action> = fc.record({
    type: fc.constantFrom('put', 'redeem', 'rotate', 'rotate', 'rotate', 'fail', 'revoke', 'find', 'list'),
    id: fc.constantFrom('a', 'b'),
    generation: fc.nat(3),
    wait: fc.constantFrom(0, 0, 0, 5, 10, 300, 900, 50_000),
    again: fc.boolean(),
    flag: fc.boolean(),
  })

  it('R163: whatever happens to families, memory and Redis answer the same', { timeout: 120_000 }, () =>
    fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 25 }), fc.boolean(), async (actions, hasEnd) => {
        const memory = createMemoryStore()
        await withStore(async redis => {
          let at = now
          let last: { send: (store: Store) => Promise<unknown>; at: number } | undefined
          const both = async (send: (store: Store) => Promise<unknown>) => {
            expect(await send(redis)).toEqual(await send(memory))
          }
          for (const { type, id, generation, wait, again, flag } of actions) {
            at += wait
            const step = { ...operation(), id, now: at }
            const sends: Record<string, (store: Store) => Promise<unknown>> = {
              put: store =>
                store.putGrant({
                  record: grant({
                    id,
                    createdAt: at,
                    endsAt: hasEnd ? at + 60_000 : 0,
                    code: { ...grant().code, expiresAt: at + 600 },
                  }),
                  now: at,
                }),
              redeem: store =>
                store.redeemCode({
                  ...step,
                  codeHash: flag ? 'code' : generation === 0 ? 'guess' : 'code',
                  accessEndsAt: at + 900,
                  ...(generation < 3 && { refresh: { hash: 'refresh-0', idleEndsAt: at + 40_000 } }),
                }),
              rotate: store =>
                store.rotateRefreshToken({
                  ...rotate(id, generation, at),
                  ...step,
                  idleEndsAt: at + 40_000,
                  genuine: flag,
                  graceSeconds: wait === 0 ? 10 : 0,
                }),
              fail: store => store.countFailedRedemption({ ...step, codeHash: 'code', limit: 2 }),
              revoke: store => store.revokeGrant({ ...step, reason: 'user' }),
              find: store => store.findGrant({ id, now: at }),
              list: async store => [
                (await store.listGrants({ userId: 'user', now: at })).map(found => found.id).sort(),
                (await store.listRevocations({ now: at })).sort((a, b) => (a.grantId < b.grantId ? -1 : 1)),
              ],
            }
            // A step is sent again within seconds. Minutes later its `now` would lie before what memory has cleaned up.
            const send = again && last?.at === at ? last.send : sends[type]!
            await both(send)
            if (['redeem', 'rotate', 'fail', 'revoke'].includes(type)) last = { send, at }
            for (const each of ['a', 'b']) await both(store => store.findGrant({ id: each, now: at }))
          }
        })
      }),
      { numRuns: 150 },
    ),
  )
})
