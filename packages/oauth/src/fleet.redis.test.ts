import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { placeCode, publicClient } from './authorization-server.fixture.ts'
import { type FleetAnswer, type FleetProcess, startFleetProcess } from './fleet.fixture.ts'
import { createRedisStore } from './redis.ts'
import { type RedisServer, startRedisServer } from './storage/redis-server.fixture.ts'
import { newTenant } from './storage/redis-store.fixture.ts'
import type { Store } from './storage/store.ts'

const now = 1_800_000_000

let server: RedisServer
let store: Store
let fleet: FleetProcess[]
beforeAll(async () => {
  server = await startRedisServer({ appendonly: 'yes' })
  // Nothing goes wrong here: however slow the machine, no answer is 503.
  const redis = { url: server.url, tenant: newTenant(), commandTimeoutMs: 10_000, stepTimeoutMs: 20_000 }
  store = await createRedisStore(redis)
  fleet = await Promise.all([0, 1].map(() => startFleetProcess({ redis, startAt: now })))
})
afterAll(async () => {
  for (const one of fleet) await one.close()
  await store.close()
  await server.stop()
})

/** Asks both processes at once, so many times in all. */
const many = (count: number, ask: (one: FleetProcess) => Promise<FleetAnswer>) =>
  Promise.all(Array.from({ length: count }, (_, i) => ask(fleet[i % 2]!)))
const told = ({ status, body }: FleetAnswer) =>
  body.error === undefined ? `${status}` : `${status} ${body.error}`
const tally = (answers: readonly FleetAnswer[]) => {
  const counts: Record<string, number> = {}
  for (const answer of answers) counts[told(answer)] = (counts[told(answer)] ?? 0) + 1
  return counts
}

describe('two processes on one Redis', () => {
  it('R95, R96: of 200 parallel redemptions of one code one succeeds, and its tokens are dead: somebody had a copy', async () => {
    const { code, grantId } = await placeCode(store, publicClient, now)
    const answers = await many(200, one => one.redeem(publicClient, code))
    expect(tally(answers)).toEqual({ '200': 1, '400 invalid_grant': 199 })
    const { access_token: access, refresh_token: refresh } = answers.find(
      ({ status }) => status === 200,
    )!.body
    expect((await store.findGrant({ id: grantId, now }))?.revokedBy).toBe('code_replayed')
    for (const one of fleet) {
      expect(told(await one.refresh(publicClient, refresh!))).toBe('400 invalid_grant')
      await expect.poll(async () => (await one.verify(access!)).state, { timeout: 10_000 }).toBe('refused')
    }
  })

  it('R104: 200 parallel refreshes of one token get one successor, which works in either process', async () => {
    const { code, grantId } = await placeCode(store, publicClient, now)
    const first = await fleet[0]!.redeem(publicClient, code)
    const answers = await many(200, one => one.refresh(publicClient, first.body.refresh_token!))
    expect(tally(answers)).toEqual({ '200': 200 })
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
    expect((await store.findGrant({ id: grantId, now }))?.refresh?.generation).toBe(1)
    const successor = answers[0]!.body.refresh_token!
    const next = await fleet[1]!.refresh(publicClient, successor)
    expect(told(next)).toBe('200')
    expect(told(await fleet[0]!.refresh(publicClient, next.body.refresh_token!))).toBe('200')
  })
})
