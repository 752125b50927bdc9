import type { RevocableTokens, RevocationResult } from '@sallyport/mcp-server'
import {
  createMemoryStore,
  createSealer,
  createSecretRing,
  type SallyportEvent,
  systemRandom,
} from '@sallyport/oauth'
import { expect, it } from 'vitest'
import type { ExternalGrant } from './external-token.ts'
import { createRevocationOutbox } from './revocation-outbox.ts'
import { createTestClock, secrets } from './testing/harness.ts'

const key = { userId: 'user', provider: 'slack', account: 'default' }
const grant: ExternalGrant = {
  accessToken: 'access-1',
  refreshToken: 'refresh-1',
  receivedAt: 0,
  issuer: 'https://slack.example',
  subject: 'subject',
}

function setUp(revoke: (tokens: RevocableTokens) => Promise<RevocationResult>) {
  const clock = createTestClock()
  const store = createMemoryStore()
  const events: SallyportEvent[] = []
  const sealer = createSealer(createSecretRing(secrets), systemRandom)
  const host = {
    store,
    tenant: store.tenant,
    sealer,
    clock,
    random: systemRandom,
    environment: {},
    externalTokenSeconds: 60,
    keyedHash: (text: string) => text,
    emit: (event: SallyportEvent) => void events.push(event),
  }
  const connected = { somebody: false }
  const vault = {
    list: async () => [],
    keyOf: (userId: string) => ({ ...key, userId }),
    isConnected: async () => connected.somebody,
  }
  const outbox = createRevocationOutbox({ host, provider: 'slack', vault, revoke })
  const tasks = async () =>
    (await store.listTasks({ kind: 'revocation', cursor: undefined, limit: 9, now: clock() })).tasks
  return { clock, store, events, outbox, tasks, connected }
}

it('R142, R181: tokens that a revocation had to refresh are kept, even when another process writes the task meanwhile', async () => {
  const seen: RevocableTokens[] = []
  const test = setUp(async tokens => {
    seen.push(tokens)
    if (seen.length > 1) return { outcome: 'revoked' }
    // As `sallyport rekey` does.
    const [task] = await test.tasks()
    const { kind, provider, id, writtenBy } = task!
    const next = { ...task!, writtenBy: 'rekey' }
    await test.store.replaceTask({ kind, provider, id, writtenBy, next, now: test.clock() })
    const rotated = { accessToken: 'access-2', refreshToken: 'refresh-2', accessEndsAt: test.clock() + 9 }
    return { outcome: 'later', tokens: rotated }
  })
  await test.outbox.put(key, grant, 0)
  test.clock.now += 10
  await test.outbox.run()
  test.clock.now += 30
  await test.outbox.run()
  expect(seen).toMatchObject([
    { accessToken: 'access-1', refreshToken: 'refresh-1' },
    { accessToken: 'access-2', refreshToken: 'refresh-2' },
  ])
  expect(await test.tasks()).toEqual([])
})

it.each([
  ['refused', [{ type: 'upstream_revocation_failed', errorClass: 'refused' }]],
  ['unsupported', []],
  ['revoked', [{ type: 'grant_revoked_upstream' }]],
] as const)('R142: a revocation that is %s is over', async (outcome, events) => {
  let asked = 0
  const test = setUp(async () => {
    asked++
    return { outcome }
  })
  await test.outbox.put(key, grant, 0)
  for (let i = 0; i < 3; i++) {
    test.clock.now += 3600
    await test.outbox.run()
  }
  expect(asked).toBe(1)
  expect(test.events).toMatchObject(events)
  expect(await test.tasks()).toEqual([])
})

it('R142: tokens whose secret has left the ring are given up, and that is told', async () => {
  const test = setUp(async () => ({ outcome: 'revoked' }))
  await test.outbox.put(key, grant, 0)
  const [task] = await test.tasks()
  const record = { ...task!, sealed: 'spoilt', writtenBy: 'somebody' }
  await test.store.putTask({ record, replaces: true, now: test.clock() })
  test.clock.now += 10
  await test.outbox.run()
  expect(test.events).toMatchObject([{ type: 'upstream_revocation_failed', errorClass: 'unreadable' }])
  expect(await test.tasks()).toEqual([])
})

it('R142: tokens that nobody has kept are revoked, but never while somebody has a connection to that account', async () => {
  const seen: RevocableTokens[] = []
  const test = setUp(async tokens => {
    seen.push(tokens)
    return seen.length === 1 ? { outcome: 'later', tokens } : { outcome: 'revoked' }
  })
  test.connected.somebody = true
  await test.outbox.putUnkept('owner', grant, 0)
  test.clock.now += 10
  await test.outbox.run()
  expect([seen, await test.tasks()]).toEqual([[], []])

  test.connected.somebody = false
  await test.outbox.putUnkept('owner', grant, 0)
  test.clock.now += 10
  await test.outbox.run()
  expect(seen).toHaveLength(1)
  // Whoever connects it while the provider is away keeps it.
  test.connected.somebody = true
  test.clock.now += 3_600
  await test.outbox.run()
  expect([seen.length, await test.tasks()]).toEqual([1, []])

  test.connected.somebody = false
  await test.outbox.putUnkept('owner', grant, 0)
  test.clock.now += 10
  await test.outbox.run()
  expect(seen).toHaveLength(2)
  expect(test.events).toMatchObject([{ type: 'grant_revoked_upstream', userId: 'owner' }])
})
