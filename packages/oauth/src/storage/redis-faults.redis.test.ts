import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../errors.ts'
import { createKeys } from './keys.ts'
import { type Script, scripts } from './lua.generated.ts'
import { type RedisProxy, startRedisProxy } from './redis-proxy.fixture.ts'
import { type RedisServer, startRedisServer } from './redis-server.fixture.ts'
import { newTenant, tenantKeys } from './redis-store.fixture.ts'
import { createRedisStore } from './redis-store.ts'
import type { Store } from './store.ts'
import {
  aCallTask,
  aCircuit,
  aConnection,
  aGrant,
  aPendingAuthorization,
  aSigningKey,
  aTask,
  now,
  operation,
  redeem,
  rotate as rotation,
} from './store-contract/samples.ts'

const grant = aGrant()
const pending = aPendingAuthorization()
const connection = aConnection({ writtenBy: 'first' })
const lease = { kind: 'connection_refresh', id: 'id', owner: 'owner' } as const
const queue = { kind: 'refresh', provider: 'google' } as const
const task = aTask({ id: 'id', writtenBy: 'first' })
const subscription = { session: 'session', idHash: 'id', sealed: 'sealed' }
const callTask = aCallTask()
const circuit = aCircuit({ id: 'id', writtenBy: 'first' })
const signingKey = aSigningKey('kid')
// No grace, so that nothing but the operation id saves a step that is sent again.
const rotate = (generation: number) => rotation(generation, { replay: 'sealed reply', graceSeconds: 0 })

let server: RedisServer
let proxy: RedisProxy
let store: Store
let tenant: string
beforeAll(async () => {
  server = await startRedisServer({ appendonly: 'yes' })
})
afterAll(() => server.stop())
beforeEach(async () => {
  tenant = newTenant()
  proxy = await startRedisProxy(server)
})
afterEach(async () => {
  await store.close()
  await proxy.close()
})

/** Steps around the one that is tested: on a busy machine they may not make it in the time which that one is given. */
const patiently = async <T>(step: () => Promise<T>): Promise<T> => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await step()
    } catch (error) {
      if (!(error instanceof StoreUnavailableError) || attempt === 50) throw error
    }
  }
}
const open = (stepTimeoutMs?: number) =>
  patiently(async () => {
    store = await createRedisStore({
      url: proxy.url,
      tenant,
      heartbeatMs: 60_000,
      ...(stepTimeoutMs && { stepTimeoutMs, commandTimeoutMs: stepTimeoutMs / 2 }),
    })
    return store
  })
/** What Redis holds, looked at past the store and the proxy. */
const dump = async () => {
  const entries = await Promise.all(
    (await tenantKeys([server.client], tenant)).map(async key => [key, await server.client.dumpBuffer(key)]),
  )
  return new Map(entries.map(([key, value]) => [String(key), String(value)]))
}
const openFamily = async () => {
  const step = redeem()
  await patiently(() => store.putGrant({ record: grant, now }))
  expect(await patiently(() => store.redeemCode(step))).toBe('redeemed')
}
/** The rotation that goes through once Redis is itself again. */
const rotateAtLast = () => {
  const step = rotate(0)
  return patiently(() => store.rotateRefreshToken(step))
}

interface Step {
  script: Script
  before?: () => Promise<unknown>
  send: () => Promise<unknown>
  outcome: unknown
}

/** Every step that writes. */
const steps: Record<string, Step> = {
  findOrPutUser: {
    script: scripts.findOrPutUser,
    send: () => store.findOrPutUser({ identityHash: 'identity', userId: 'user', expiresAt: now + 60, now }),
    outcome: 'user',
  },
  putClientTombstone: {
    script: scripts.putClientTombstone,
    send: () => store.putClientTombstone({ clientIdHash: 'client', expiresAt: now + 60, now }),
    outcome: undefined,
  },
  putPendingAuthorization: {
    script: scripts.putPendingAuthorization,
    send: () => store.putPendingAuthorization({ record: pending, limit: 1, now }),
    outcome: 'stored',
  },
  stepPendingAuthorization: {
    script: scripts.stepPendingAuthorization,
    before: () => store.putPendingAuthorization({ record: pending, limit: 1, now }),
    send: () =>
      store.stepPendingAuthorization({
        id: 'transaction',
        fromStep: 0,
        next: undefined,
        now,
        ...operation(),
      }),
    outcome: 'taken',
  },
  putDisabledUser: {
    script: scripts.putDisabledUser,
    async send() {
      await store.putDisabledUser({ userId: 'user', expiresAt: now + 60, now })
      return store.isUserDisabled({ userId: 'user', now })
    },
    outcome: true,
  },
  putSignOut: {
    script: scripts.putSignOut,
    async send() {
      await store.putSignOut({ userId: 'user', at: now, expiresAt: now + 60, now })
      return store.findSignOut({ userId: 'user', now })
    },
    outcome: now,
  },
  putGrant: {
    script: scripts.putGrant,
    send: () => store.putGrant({ record: grant, now }),
    outcome: undefined,
  },
  'putGrant (lists)': {
    script: scripts.indexRecord,
    send: () => store.putGrant({ record: grant, now }),
    outcome: undefined,
  },
  redeemCode: {
    script: scripts.redeemCode,
    before: () => store.putGrant({ record: grant, now }),
    send: () => store.redeemCode(redeem()),
    outcome: 'redeemed',
  },
  countFailedRedemption: {
    script: scripts.countFailedRedemption,
    before: () => store.putGrant({ record: grant, now }),
    async send() {
      await store.countFailedRedemption({ id: 'family', codeHash: 'code', limit: 5, now, ...operation() })
      return (await store.findGrant({ id: 'family', now }))?.code.failures
    },
    outcome: 1,
  },
  rotateRefreshToken: {
    script: scripts.rotateRefreshToken,
    before: openFamily,
    async send() {
      const result = await store.rotateRefreshToken(rotate(0))
      const found = await store.findGrant({ id: 'family', now })
      return [result, found?.refresh?.generation, found?.revokedAt]
    },
    outcome: [{ outcome: 'rotated' }, 1, undefined],
  },
  revokeGrant: {
    script: scripts.revokeGrant,
    before: openFamily,
    send: () => store.revokeGrant({ id: 'family', reason: 'user', now, ...operation() }),
    outcome: 'revoked',
  },
  putConnection: {
    script: scripts.putConnection,
    send: () => store.putConnection({ record: connection, now }),
    outcome: 1,
  },
  'putConnection (list)': {
    script: scripts.indexRecord,
    async send() {
      await store.putConnection({ record: { ...connection, accountHash: 'ada' }, now })
      return (await store.findConnectionsByAccount({ accountHash: 'ada', now })).length
    },
    outcome: 1,
  },
  replaceConnection: {
    script: scripts.replaceConnection,
    before: () => store.putConnection({ record: connection, now }),
    send: () =>
      store.replaceConnection({ record: { ...connection, writtenBy: 'second' }, generation: 1, now }),
    outcome: 'replaced',
  },
  deleteConnection: {
    script: scripts.deleteConnection,
    before: () => store.putConnection({ record: connection, now }),
    send: () => store.deleteConnection({ userId: 'user', provider: 'google', account: 'default', now }),
    outcome: undefined,
  },
  claimLease: {
    script: scripts.claimLease,
    send: () => store.claimLease({ ...lease, endsAt: now + 30, takesOver: true, now }),
    outcome: { outcome: 'claimed', isTakenOver: false },
  },
  'claimLease (taken over)': {
    script: scripts.claimLease,
    before: () => store.claimLease({ ...lease, owner: 'late', endsAt: now, takesOver: true, now: now - 30 }),
    send: () => store.claimLease({ ...lease, endsAt: now + 30, takesOver: true, now }),
    outcome: { outcome: 'claimed', isTakenOver: true },
  },
  releaseLease: {
    script: scripts.releaseLease,
    before: () => store.claimLease({ ...lease, endsAt: now + 30, takesOver: true, now }),
    send: () => store.releaseLease({ ...lease, now }),
    outcome: undefined,
  },
  replaceCircuit: {
    script: scripts.replaceCircuit,
    async send() {
      const outcome = await store.replaceCircuit({ record: circuit, generation: 0, now })
      return [outcome, (await store.findCircuit({ id: 'id', now }))?.generation]
    },
    outcome: ['replaced', 1],
  },
  putTask: {
    script: scripts.putTask,
    send: () => store.putTask({ record: task, replaces: false, now }),
    outcome: 'stored',
  },
  claimTasks: {
    script: scripts.claimTasks,
    before: () => store.putTask({ record: task, replaces: false, now }),
    send: () => store.claimTasks({ ...queue, owner: 'owner', limit: 5, until: now + 60, now }),
    outcome: [{ ...task, writtenBy: 'owner', dueAt: now + 60 }],
  },
  replaceTask: {
    script: scripts.replaceTask,
    before: () => store.putTask({ record: task, replaces: false, now }),
    send: () => {
      const next = { ...task, writtenBy: 'second', attempts: 1 }
      return store.replaceTask({ ...queue, id: 'id', writtenBy: 'first', next, now })
    },
    outcome: 'replaced',
  },
  'replaceTask (done)': {
    script: scripts.replaceTask,
    before: () => store.putTask({ record: task, replaces: false, now }),
    send: () => store.replaceTask({ ...queue, id: 'id', writtenBy: 'first', next: undefined, now }),
    outcome: 'replaced',
  },
  putSigningKey: {
    script: scripts.putSigningKey,
    send: () => store.putSigningKey({ record: signingKey, newestKid: undefined, now }),
    outcome: 'stored',
  },
  retireSigningKey: {
    script: scripts.retireSigningKey,
    before: () => store.putSigningKey({ record: signingKey, newestKid: undefined, now }),
    async send() {
      const outcome = await store.retireSigningKey({ kid: 'kid', retiresAt: now + 60, now })
      return [outcome, (await store.listSigningKeys({ now }))[0]?.retiresAt]
    },
    outcome: ['retired', now + 60],
  },
  resealSigningKey: {
    script: scripts.resealSigningKey,
    before: () => store.putSigningKey({ record: signingKey, newestKid: undefined, now }),
    send: () => store.resealSigningKey({ kid: 'kid', sealed: 'anew', expectedSealed: 'sealed', now }),
    outcome: 'resealed',
  },
  appendEvent: {
    script: scripts.appendEvent,
    async send() {
      const event = { stream: 'stream', position: 1, sealed: 'sealed', limit: 10, expiresAt: now + 60, now }
      await store.appendEvent(event)
      return (await store.readEvents({ stream: 'stream', after: 0, now })).map(({ position }) => position)
    },
    outcome: [1],
  },
  putSubscription: {
    script: scripts.putSubscription,
    async send() {
      const outcome = await store.putSubscription({ ...subscription, limit: 1, expiresAt: now + 60, now })
      return [outcome, await store.listSubscriptions({ session: subscription.session, now })]
    },
    outcome: ['stored', ['sealed']],
  },
  deleteSubscription: {
    script: scripts.putSubscription,
    before: () => store.putSubscription({ ...subscription, limit: 1, expiresAt: now + 60, now }),
    async send() {
      await store.deleteSubscription({ ...subscription, now })
      return store.listSubscriptions({ session: subscription.session, now })
    },
    outcome: [],
  },
  putCallTask: {
    script: scripts.putCallTask,
    async send() {
      const outcome = await store.putCallTask({ record: callTask, limit: 1, now })
      return [outcome, (await store.findCallTask({ ...callTask, now }))?.generation]
    },
    outcome: ['stored', 1],
  },
  replaceCallTask: {
    script: scripts.replaceCallTask,
    before: () => store.putCallTask({ record: callTask, limit: 1, now }),
    async send() {
      const outcome = await store.replaceCallTask({ ...callTask, sealed: 'anew', generation: 1, now })
      return [outcome, (await store.findCallTask({ ...callTask, now }))?.generation]
    },
    outcome: ['replaced', 2],
  },
  claimSingleUse: {
    script: scripts.claimSingleUse,
    send: () => store.claimSingleUse({ kind: 'jti', idHash: 'id', expiresAt: now + 60, now, ...operation() }),
    outcome: 'claimed',
  },
}

it('every script that writes a record stands in the table', async () => {
  await open()
  const tested = new Set(Object.values(steps).map(({ script }) => script.name))
  const all = Object.values(scripts).map(({ name }) => name)
  expect(all.filter(name => !tested.has(name))).toEqual(['check-write'])
})

describe.each(Object.entries(steps))('%s', (_, { script, before, send, outcome }) => {
  /** So that the script goes by its hash. */
  const load = () => server.client.script('LOAD', script.lua)

  it('R164: the reply is lost once: the caller hears of one success, and it happened once', async () => {
    await open()
    await load()
    await before?.()
    proxy.loseReplyTo(script.sha1)
    expect(await send()).toEqual(outcome)
    expect(proxy.interventions).toBe(1)
  })

  it('R165: Redis accepts and never answers: it fails in time, and does not happen later', async () => {
    await open(400)
    await load()
    if (before) await patiently(before)
    const held = await dump()
    proxy.hang()
    const began = performance.now()
    await expect(send()).rejects.toThrow(StoreUnavailableError)
    expect(performance.now() - began).toBeLessThan(3_000)
    proxy.release()
    // Whatever was held back has been read by Redis before it answers this.
    await patiently(() => store.check())
    await server.client.ping()
    expect(withoutCheck(await dump())).toEqual(withoutCheck(held))
  })
})

const withoutCheck = (entries: Map<string, string>) => {
  entries.delete(createKeys(tenant).check())
  return entries
}

describe('refusals of Redis that pass', () => {
  it.each([
    ['READONLY', "-READONLY You can't write against a read only replica.", 1],
    ['LOADING', '-LOADING Redis is loading the dataset in memory', 3],
    ['CLUSTERDOWN', '-CLUSTERDOWN Hash slot not served', 2],
    ['MASTERDOWN', "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", 2],
    ['BUSY', '-BUSY Redis is busy running a script.', 2],
  ])('R166: %s passes: it succeeds without a word', async (_, line, times) => {
    await open()
    await openFamily()
    await server.client.script('LOAD', scripts.rotateRefreshToken.lua)
    proxy.answer(scripts.rotateRefreshToken.sha1, line, times)
    expect(await store.rotateRefreshToken(rotate(0))).toEqual({ outcome: 'rotated' })
    expect(proxy.interventions).toBe(times)
  })
})

describe('a rotation that happened though its caller was told that it failed', () => {
  /** Rotates, and loses every reply until the step has failed. */
  const rotateUnheard = async () => {
    await open(1_000)
    await openFamily()
    await server.client.script('LOAD', scripts.rotateRefreshToken.lua)
    proxy.loseReplyTo(scripts.rotateRefreshToken.sha1)
    const failing = store.rotateRefreshToken({ ...rotate(0), graceSeconds: 10 })
    await expect.poll(() => proxy.interventions, { interval: 1, timeout: 60_000 }).toBe(1)
    proxy.hang()
    await expect(failing).rejects.toThrow(StoreUnavailableError)
    proxy.release()
    return createRedisStore({ url: server.url, tenant })
  }
  const present = (other: Store, at: number) =>
    other.rotateRefreshToken({ ...rotate(0), graceSeconds: 10, now: now + at })

  it('R164: a client that comes back minutes later, to another process, gets its successor', async () => {
    const other = await rotateUnheard()
    expect(await present(other, 599)).toEqual({ outcome: 'grace', replay: 'sealed reply' })
    expect(await other.rotateRefreshToken(rotate(1))).toEqual({ outcome: 'rotated' })
    expect(await present(other, 600)).toEqual({ outcome: 'reused' })
    await other.close()
  })

  it('R105: not for ever', async () => {
    const other = await rotateUnheard()
    expect(await present(other, 600)).toEqual({ outcome: 'reused' })
    await other.close()
  })

  it('R105: a rotation that was heard of has the grace that was asked for, and leaves nothing behind', async () => {
    await open()
    await openFamily()
    for (let i = 0; i < 3; i++) await store.rotateRefreshToken(rotate(i))
    // On the same connection, so that it comes after.
    await store.check()
    const fields = await server.client.hkeys(createKeys(tenant).grant('family'))
    expect(fields.filter(field => field.startsWith('unheard'))).toEqual([])
    expect(await store.rotateRefreshToken({ ...rotate(2), graceSeconds: 10, now: now + 10 })).toEqual({
      outcome: 'reused',
    })
  })
})

describe('a slow way to Redis', () => {
  it('R165: a flow works behind 40 ms of delay', async () => {
    await open()
    proxy.delay(40)
    await openFamily()
    expect(await store.rotateRefreshToken(rotate(0))).toEqual({ outcome: 'rotated' })
    expect(await store.rotateRefreshToken(rotate(0))).toEqual({ outcome: 'reused' })
  })
})

describe('a Redis that fails', () => {
  const refuses = async (code: string) => {
    await expect(store.rotateRefreshToken(rotate(0))).rejects.toThrow(`Redis could not answer (${code})`)
  }

  it.each([
    [
      'READONLY',
      ['replica-priority', '100'],
      () => server.client.replicaof('127.0.0.1', 1),
      () => server.client.replicaof('NO', 'ONE'),
    ],
    ['OOM', ['maxmemory', '1'], undefined, () => server.client.config('SET', 'maxmemory', '0')],
    [
      'NOREPLICAS',
      ['min-replicas-to-write', '1'],
      undefined,
      () => server.client.config('SET', 'min-replicas-to-write', '0'),
    ],
  ] as const)(
    'R166: %s is 503 and changes nothing; afterwards everything goes on',
    async (code, [name, value], begin, end) => {
      await open(300)
      await openFamily()
      const before = withoutCheck(await dump())
      await server.client.config('SET', name, value)
      await begin?.()
      await refuses(code)
      await expect(store.check()).rejects.toThrow(StoreUnavailableError)
      await end()
      expect(withoutCheck(await dump())).toEqual(before)
      expect(await rotateAtLast()).toEqual({ outcome: 'rotated' })
    },
  )

  it('R165, R166: a frozen Redis is 503 in time; thawed, it does nothing that was told to have failed', async () => {
    await open(400)
    await openFamily()
    const before = withoutCheck(await dump())
    server.freeze()
    const began = performance.now()
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => store.rotateRefreshToken(rotate(0))),
    )
    expect(performance.now() - began).toBeLessThan(3_000)
    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: expect.any(StoreUnavailableError) })
    }
    server.thaw()
    await server.client.ping()
    expect(withoutCheck(await dump())).toEqual(before)
    expect(await rotateAtLast()).toEqual({ outcome: 'rotated' })
  })

  it('R166: reads fail closed as well: a token is never unknown because Redis was away', async () => {
    await open(300)
    await openFamily()
    await patiently(() => store.putClientTombstone({ clientIdHash: 'client', expiresAt: now + 60, now }))
    await server.kill()
    const reads: (() => Promise<unknown>)[] = [
      () => store.findGrant({ id: 'family', now }),
      () => store.listGrants({ userId: 'user', now }),
      () => store.isClientDeleted({ clientIdHash: 'client', now }),
      () => store.findPendingAuthorization({ id: 'transaction', now }),
      () => store.findConnection({ userId: 'user', provider: 'google', account: 'default', now }),
      () => store.listConnections({ userId: 'user', now }),
      () => store.findConnectionsByAccount({ accountHash: 'ada', now }),
      () => store.findConnectionsByToken({ tokenHash: 'token', now }),
      () => store.isSingleUseClaimed({ kind: 'jti', idHash: 'id', now }),
      () => store.findUser({ identityHash: 'identity', now }),
      () => store.listSigningKeys({ now }),
      () => store.listRevocations({ now }),
    ]
    for (const read of reads) await expect(read()).rejects.toThrow(StoreUnavailableError)
    await server.restart()
    const find = () => store.findGrant({ id: 'family', now }).catch(() => undefined)
    await expect.poll(find, { timeout: 60_000 }).toBeDefined()
  }, 90_000)

  it('R167: killed and started again over its append-only file, it still knows what was used', async () => {
    // `everysec`, the default, may lose what happened in the last second.
    const durable = await startRedisServer({ appendonly: 'yes', appendfsync: 'always' })
    store = await createRedisStore({ url: durable.url, tenant })
    await openFamily()
    await store.rotateRefreshToken(rotate(0))
    await store.claimSingleUse({ kind: 'jti', idHash: 'id', expiresAt: now + 60, now, ...operation() })
    await durable.kill()
    const waiting = store.rotateRefreshToken(rotate(1))
    await durable.restart()
    expect(await waiting).toEqual({ outcome: 'rotated' })
    expect(
      await store.claimSingleUse({ kind: 'jti', idHash: 'id', expiresAt: now + 60, now, ...operation() }),
    ).toBe('used')
    expect(await store.redeemCode(redeem())).toBe('replayed')
    await durable.stop()
  })

  it('R168: full memory refuses what is new and forgets no revocation', async () => {
    await open()
    await store.putGrant({ record: { ...grant, id: 'unredeemed' }, now })
    await store.putGrant({ record: { ...grant, id: 'live' }, now })
    expect(await store.redeemCode({ ...redeem(), id: 'live' })).toBe('redeemed')
    for (let i = 0; i < 50; i++) {
      const id = `family-${i}`
      await store.putGrant({ record: { ...grant, id }, now })
      expect(await store.redeemCode({ ...redeem(), id })).toBe('redeemed')
      expect(await store.revokeGrant({ id, reason: 'user', now, ...operation() })).toBe('revoked')
    }
    await server.client.config('SET', 'maxmemory', '1')
    await expect(store.putGrant({ record: grant, now })).rejects.toThrow('(OOM)')
    await expect(store.redeemCode({ ...redeem(), id: 'unredeemed' })).rejects.toThrow('(OOM)')
    expect(await store.revokeGrant({ id: 'live', reason: 'user', now, ...operation() })).toBe('revoked')
    expect(await store.listRevocations({ now })).toHaveLength(51)
    expect((await store.listGrants({ userId: 'user', now })).map(({ id }) => id)).toEqual(['unredeemed'])
    await server.client.config('SET', 'maxmemory', '0')
  })
})
