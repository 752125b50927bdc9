import { afterAll, beforeAll, expect, it } from 'vitest'
import { placeCode, publicClient } from './authorization-server.fixture.ts'
import { type FleetAnswer, type FleetProcess, startFleetProcess, type TokenState } from './fleet.fixture.ts'
import { createRedisStore } from './redis.ts'
import { systemClock } from './runtime.ts'
import { type RedisServer, startRedisServer } from './storage/redis-server.fixture.ts'
import { newTenant } from './storage/redis-store.fixture.ts'
import type { Store } from './storage/store.ts'

let server: RedisServer
let store: Store
let fleet: FleetProcess[]
beforeAll(async () => {
  // STORAGE.md: what `everysec` promises less, and to whom.
  server = await startRedisServer({ appendonly: 'yes', appendfsync: 'always' })
  const redis = { url: server.url, tenant: newTenant() }
  store = await createRedisStore(redis)
  // The real time, and a grace that is over long before Redis is back.
  const settings = { redis, lifetimes: { refreshGraceSeconds: 1 } }
  fleet = await Promise.all([0, 1].map(() => startFleetProcess(settings)))
})
afterAll(async () => {
  for (const one of fleet) await one.close()
  await store.close()
  await server.stop()
})

interface Session {
  access: string
  refresh: string
}
const openSession = async (userId: string): Promise<Session> => {
  const { code } = await placeCode(store, publicClient, systemClock(), { userId })
  const { body } = await fleet[0]!.redeem(publicClient, code)
  return { access: body.access_token!, refresh: body.refresh_token! }
}

/** The only two answers there may be, in the time there is for them. */
function expectAnswerInTime({ status, body, retryAfter, elapsedMs }: FleetAnswer): void {
  if (status !== 200) {
    expect([status, body.error]).toEqual([503, 'temporarily_unavailable'])
    expect(retryAfter).toMatch(/^[1-9]\d*$/)
  }
  expect(elapsedMs).toBeLessThan(3_000)
}

it('R165, R166, R167: two processes under load: Redis restarted, killed and frozen costs no client its session, and no answer its time', async () => {
  const sessions = await Promise.all(Array.from({ length: 20 }, (_, i) => openSession(`user-${i}`)))
  const revoked = await openSession('leaver')
  expect((await fleet[0]!.revoke(publicClient, revoked.refresh)).status).toBe(200)

  let answered = { refreshed: 0, unavailable: 0 }
  const states = new Set<TokenState>()
  let isOver = false
  const play = async (session: Session, index: number) => {
    for (let turn = index; !isOver; turn++) {
      const [one, other] = turn % 2 === 0 ? fleet : [...fleet].reverse()
      const [answer, { state, elapsedMs }] = await Promise.all([
        one!.refresh(publicClient, session.refresh),
        other!.verify(session.access),
      ])
      expectAnswerInTime(answer)
      expect(elapsedMs).toBeLessThan(3_000)
      states.add(state)
      if (answer.status === 200) {
        session.access = answer.body.access_token!
        session.refresh = answer.body.refresh_token!
        answered.refreshed++
      } else answered.unavailable++
    }
  }
  const playing = Promise.all(sessions.map(play))
  /** Until so much has been answered, counted from now. */
  const until = async (what: keyof typeof answered, count: number) => {
    answered = { refreshed: 0, unavailable: 0 }
    await Promise.race([
      expect.poll(() => answered[what], { timeout: 120_000 }).toBeGreaterThan(count),
      playing,
    ])
  }

  await until('refreshed', 100)
  await server.restart()
  await until('refreshed', 100)
  await server.kill()
  await until('unavailable', 20)
  await server.restart()
  await until('refreshed', 0)
  // In the middle of what has just begun to work again.
  server.freeze()
  await until('unavailable', 20)
  server.thaw()
  await until('refreshed', 100)
  isOver = true
  await playing

  // A token that is good was never taken for one that is not.
  expect(states).not.toContain('refused')
  for (const [index, { refresh }] of sessions.entries()) {
    expect((await fleet[index % 2]!.refresh(publicClient, refresh)).status).toBe(200)
  }
  expect((await fleet[1]!.refresh(publicClient, revoked.refresh)).body.error).toBe('invalid_grant')
  expect((await fleet[1]!.verify(revoked.access)).state).toBe('refused')
}, 600_000)
