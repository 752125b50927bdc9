import { setImmediate as nextTick } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { placeCode, publicClient } from './authorization-server.fixture.ts'
import { type FleetAnswer, type FleetProcess, startFleetProcess } from './fleet.fixture.ts'
import { type Conductor, createConductor, type Turn } from './fleet-interleavings.fixture.ts'
import { sha256 } from './protocol/hash.ts'
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
  // No heartbeat helps here: what one process revokes, the other hears of by the message or not at all. And nothing
  // goes wrong: however slow the machine, no answer is 503.
  const redis = {
    url: server.url,
    tenant: newTenant(),
    heartbeatMs: 3_600_000,
    commandTimeoutMs: 3_600_000,
    stepTimeoutMs: 3_600_000,
  }
  store = await createRedisStore(redis)
  fleet = await Promise.all([0, 1].map(() => startFleetProcess({ redis, startAt: now })))
})
afterAll(async () => {
  for (const one of fleet) await one.close()
  await store.close()
  await server.stop()
})

/** A client with several windows: all that are in a round hold the same token and refresh it at once. */
interface Round {
  /** By window: the process its request reaches. */
  windows: number[]
  /** One of them hears nothing, and asks again: this process. */
  again: number | undefined
}
interface Revocation {
  by: 'refresh token' | 'first refresh token' | 'access token' | 'session' | 'user'
  process: number
  /** After how many rounds of the client it is sent, at the same time as the next. */
  after: number
}
const round: fc.Arbitrary<Round> = fc.record({
  windows: fc.array(fc.nat(1), { minLength: 1, maxLength: 3 }),
  again: fc.option(fc.nat(1), { nil: undefined, freq: 2 }),
})
const rounds = fc.array(round, { minLength: 1, maxLength: 2 })
const revocation: fc.Arbitrary<Revocation> = fc.record({
  by: fc.constantFrom('refresh token', 'first refresh token', 'access token', 'session', 'user'),
  process: fc.nat(1),
  after: fc.nat(1),
})
const turns: fc.Arbitrary<Turn[]> = fc.array(fc.record({ pick: fc.nat(11), together: fc.boolean() }), {
  minLength: 8,
  maxLength: 64,
})

/** One token family and what its client knows. */
interface Session {
  userId: string
  grantId: string
  /** Refresh tokens it was given, oldest first, and access tokens. */
  refresh: string[]
  access: Set<string>
}
let users = 0
async function openSession(): Promise<Session> {
  const userId = `user-${users++}`
  const { code, grantId } = await placeCode(store, publicClient, now, { userId })
  const { body } = await fleet[users % 2]!.redeem(publicClient, code)
  return { userId, grantId, refresh: [body.refresh_token!], access: new Set([body.access_token!]) }
}

const told = ({ status, body }: FleetAnswer) =>
  body.error === undefined ? `${status}` : `${status} ${body.error}`

/** Lives through its rounds; stops where a token is refused, as a client does. Resolves to whether none was. */
async function live(
  session: Session,
  script: readonly Round[],
  { send }: Conductor,
  isEnded: () => boolean,
  onRound: (index: number) => void = () => {},
): Promise<boolean> {
  const refresh = async (process: number) => {
    const wasEnded = isEnded()
    const answer = await send(() => fleet[process]!.gated.refresh(publicClient, session.refresh.at(-1)!))
    expect(['200', '400 invalid_grant']).toContain(told(answer))
    // Whatever was sent after a revocation had been answered gets nothing.
    if (wasEnded) expect(told(answer)).toBe('400 invalid_grant')
    return answer
  }
  for (const [index, { windows, again }] of script.entries()) {
    onRound(index)
    const answers = await Promise.all(windows.map(refresh))
    if (again !== undefined) answers.push(await refresh(again))
    const replies = answers.filter(({ status }) => status === 200).map(({ body }) => body)
    for (const { access_token: access } of replies) session.access.add(access!)
    const successors = new Set(replies.map(({ refresh_token: token }) => token!))
    expect(successors.size, 'one successor').toBeLessThanOrEqual(1)
    session.refresh.push(...successors)
    if (replies.length < answers.length) return false
  }
  return true
}

async function revoke(session: Session, { by, process }: Revocation, { send }: Conductor): Promise<void> {
  const one = fleet[process]!.gated
  const revokeToken = async (token: string) => {
    expect((await send(() => one.revoke(publicClient, token))).status).toBe(200)
  }
  switch (by) {
    case 'refresh token':
      return revokeToken(session.refresh.at(-1)!)
    case 'first refresh token':
      return revokeToken(session.refresh[0]!)
    case 'access token':
      return revokeToken([...session.access].at(-1)!)
    case 'session':
      expect(await send(() => one.admin('revokeGrant', session.grantId))).toBe(true)
      return
    case 'user':
      expect(await send(() => one.admin('revokeUser', session.userId))).toBe(1)
  }
}

/** The word that its family has been revoked is on its way to this process; the test's time limit is that of the wait. */
async function untilRefused(one: FleetProcess, access: string): Promise<void> {
  while ((await one.verify(access)).state !== 'refused') await nextTick()
}

/** The record knows exactly one of the tokens as the one that can be traded in. */
async function expectOneHead(session: Session) {
  const grant = await store.findGrant({ id: session.grantId, now })
  const heads = session.refresh.filter(token => sha256(token) === grant?.refresh?.currentHash)
  expect(heads).toEqual(session.refresh.slice(-1))
  return grant
}

it('R104, R141: two processes, 500 interleavings of refreshes and a revocation: no token outlives it, no family has two heads, and nobody else is logged out', async () => {
  const play = async (script: Round[], other: Round[], end: Revocation, order: Turn[]) => {
    const [session, bystander] = await Promise.all([openSession(), openSession()])
    const conductor = createConductor(fleet, order)
    let isEnded = false
    const ending = { begin: () => {} }
    const begun = new Promise<void>(resolve => {
      ending.begin = resolve
    })
    const ended = begun.then(async () => {
      await revoke(session, end, conductor)
      isEnded = true
      // In the process that did it, at once.
      for (const access of session.access) {
        expect((await fleet[end.process]!.verify(access)).state).toBe('refused')
      }
    })
    const playing = Promise.all([
      live(
        session,
        script,
        conductor,
        () => isEnded,
        index => index === end.after && ending.begin(),
      ).finally(ending.begin),
      live(bystander, other, conductor, () => false),
      ended,
    ])
    await conductor.conduct(playing)
    const [, isUnharmed] = await playing

    // The client that was signed out: whatever it was ever given, and wherever it goes.
    expect((await expectOneHead(session))?.revokedAt).toBe(now)
    await Promise.all(
      fleet.flatMap(one => [
        ...[...session.access].map(access => untilRefused(one, access)),
        ...session.refresh.map(async token =>
          expect(told(await one.refresh(publicClient, token))).toBe('400 invalid_grant'),
        ),
      ]),
    )
    // Another user of the same client, at the same time.
    expect(isUnharmed).toBe(true)
    expect((await expectOneHead(bystander))?.revokedAt).toBeUndefined()
    await Promise.all(
      fleet.flatMap(one =>
        [...bystander.access].map(async access => expect((await one.verify(access)).state).toBe('live')),
      ),
    )
    const next = await fleet[end.process]!.refresh(publicClient, bystander.refresh.at(-1)!)
    expect(told(next)).toBe('200')
    bystander.refresh.push(next.body.refresh_token!)
    await expectOneHead(bystander)
  }
  await fc.assert(fc.asyncProperty(rounds, rounds, revocation, turns, play), { numRuns: 500 })
}, 600_000)
