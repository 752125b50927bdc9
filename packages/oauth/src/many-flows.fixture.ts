import { expect } from 'vitest'
import { createFixture, type Fixture, publicClient } from './authorization-server.fixture.ts'
import type { StoreUnderTest } from './storage/store-contract.ts'

/** The moment the store contract begins at. */
const begins = 1_900_000_000

async function startAt(store: StoreUnderTest['store']): Promise<Fixture> {
  const fixture = createFixture({ store, rateLimit: 0 })
  fixture.time.now = begins
  await fixture.server.start()
  return fixture
}

/** A user signs in and refreshes; resolves to the last refresh token. */
async function signIn(fixture: Fixture, userId: string, name: string, rotations: number): Promise<string> {
  const { store, time } = fixture
  const { now } = time
  await store.findOrPutUser({ identityHash: `identity-${name}`, userId, expiresAt: now + 86_400, now })
  let { refresh } = await fixture.session(publicClient, { userId })
  for (let i = 0; i < rotations; i++) refresh = await rotate(fixture, refresh)
  return refresh
}

async function rotate(fixture: Fixture, token: string): Promise<string> {
  const body = (await (await fixture.refresh(publicClient, token)).json()) as Record<string, string>
  expect(body.refresh_token).toBeDefined()
  return body.refresh_token!
}

/** Flows that are under way at the same time, each of another user. */
const atOnce = 50

/**
 * What flows leave behind of themselves: everything a server stores for `count` flows, until all of it has ended.
 * Some codes are never redeemed, and some sessions end by revocation, by a replayed code, by a reused token, and with
 * their user.
 */
export async function expectNothingLeftOfFlows({ store, countRecords }: StoreUnderTest, count: number) {
  const fixture = await startAt(store)
  const { time } = fixture
  const baseline = await countRecords()
  const flow = async (i: number) => {
    const userId = `user-${i % atOnce}`
    const { now } = time
    const user = { userId, createdAt: now, authTime: now, endsAt: now + 2_592_000 }
    const placed = await fixture.placeCode(publicClient, user)
    if (i % 5 === 0) return
    await store.findOrPutUser({ identityHash: `identity-${i}`, userId, expiresAt: now + 600, now })
    const redeemed = (await (await fixture.redeem(publicClient, placed.code)).json()) as Record<
      string,
      string
    >
    const first = redeemed.refresh_token!
    let token = await rotate(fixture, first)
    if (i % 10 === 3) for (let more = 0; more < 2; more++) token = await rotate(fixture, token)
    if (i % 10 === 1) await fixture.revoke(publicClient, token)
    if (i % 10 === 2) await fixture.redeem(publicClient, placed.code)
    if (i % 10 === 3) await fixture.refresh(publicClient, first)
    if (i % atOnce === atOnce - 1) await fixture.server.admin.revokeUser(userId)
  }
  for (let i = 0; i < count; i += atOnce) {
    await Promise.all(Array.from({ length: atOnce }, (_, nth) => flow(i + nth)))
    time.now += 1
  }
  expect(await countRecords()).toBeGreaterThan(baseline + count / 2)
  // Everything has ended: two idle lives later also the lists of families in Redis.
  time.now += 2 * 86_400 + 900
  await store.cleanupExpired({ now: time.now })
  expect(await countRecords()).toBe(baseline)
  await fixture.server.close()
}

/** What one idle user with one session takes, in bytes and records. */
export interface IdleUserSize {
  bytes: number
  records: number
}

/** Compares users who have refreshed once with the same users after many refreshes; prints what one of them takes. */
export async function expectUsersNotToGrow(
  name: string,
  { store, countRecords }: StoreUnderTest,
  countBytes: () => Promise<number>,
) {
  const users = 50
  const rotations = 20
  const fixture = await startAt(store)
  const { time } = fixture
  const measure = async (before: IdleUserSize): Promise<IdleUserSize> => {
    // Idle: what is remembered of single steps has ended.
    time.now += 180
    await store.cleanupExpired({ now: time.now })
    const [bytes, records] = [await countBytes(), await countRecords()]
    return { bytes: (bytes - before.bytes) / users, records: (records - before.records) / users }
  }
  const empty = { bytes: await countBytes(), records: await countRecords() }
  let tokens = await Promise.all(
    Array.from({ length: users }, (_, i) => signIn(fixture, `user-${i}`, `${i}`, 1)),
  )
  const young = await measure(empty)
  for (let i = 1; i < rotations; i++) {
    tokens = await Promise.all(tokens.map(token => rotate(fixture, token)))
    time.now += 60
  }
  const old = await measure(empty)
  const bytes = Math.round(old.bytes)
  console.log(
    `${name}: an idle user takes ${bytes} bytes in ${old.records} records, after ${rotations} refreshes`,
  )
  expect(old.records).toBe(young.records)
  // Longer numbers, and what memory and pages are rounded up to; nineteen hashes would be a kilobyte.
  expect(Math.abs(old.bytes - young.bytes)).toBeLessThan(300)
  expect(old.bytes).toBeLessThan(8_192)
  await fixture.server.close()
}
