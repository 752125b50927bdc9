import { expect } from 'vitest'
import { createFixture, publicClient } from './authorization-server.fixture.ts'
import type { StoreUnderTest } from './storage/store-contract.ts'

/** What flows leave behind of themselves: everything a server stores for `count` users, until all of it has ended. */
export async function expectNothingLeftOfFlows({ store, countRecords }: StoreUnderTest, count: number) {
  const fixture = createFixture({ store })
  const { time } = fixture
  // The moment the store contract begins at.
  time.now = 1_900_000_000
  await fixture.server.start()
  const baseline = await countRecords()
  for (let i = 0; i < count; i++) {
    const user = {
      userId: `user-${i % 50}`,
      createdAt: time.now,
      authTime: time.now,
      endsAt: time.now + 2_592_000,
    }
    const { now } = time
    const code = { expiresAt: now + 600 }
    const placed = await fixture.placeCode(publicClient, user)
    expect((await store.findGrant({ id: placed.grantId, now }))?.code).toBeDefined()
    // Some codes are never redeemed.
    if (i % 5 === 0) continue
    await store.findOrPutUser({ identityHash: `identity-${i}`, userId: user.userId, ...code, now })
    const redeemed = await fixture.redeem(publicClient, placed.code)
    let { refresh_token: token = '' } = (await redeemed.json()) as Record<string, string>
    for (let rotation = 0; rotation < 3; rotation++) {
      time.now += 1
      const body = (await (await fixture.refresh(publicClient, token)).json()) as Record<string, string>
      token = body.refresh_token!
    }
    if (i % 5 === 1) await fixture.revoke(publicClient, token)
    if (i % 5 === 2) await fixture.redeem(publicClient, placed.code)
    if (i % 50 === 49) await fixture.server.admin.revokeUser(user.userId)
  }
  expect(await countRecords()).toBeGreaterThan(baseline + count / 2)
  // Everything has ended: two idle lives later also the lists of families in Redis.
  time.now += 2 * 86_400 + 900
  await store.cleanupExpired({ now: time.now })
  expect(await countRecords()).toBe(baseline)
  await fixture.server.close()
}
