import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../store.ts'
import { familySteps } from './family-steps.ts'
import { aGrant, now, redeem, revoke, rotate, tally, times } from './samples.ts'

/** The rotation of refresh tokens. */
export function describeRefreshTokens(getStore: () => Store): void {
  const { openFamily, grant, isRevoked } = familySteps(getStore)
  let store: Store
  beforeEach(() => {
    store = getStore()
  })

  describe('refresh tokens', () => {
    it.each([20, 50])('R104: %i parallel uses with a grace get one successor and its very reply', async n => {
      await openFamily()
      const outcomes = await Promise.all(
        times(n, i =>
          store.rotateRefreshToken(rotate(0, { successorHash: `successor-${i}`, replay: `reply-${i}` })),
        ),
      )
      expect(tally(outcomes.map(({ outcome }) => outcome))).toEqual({ rotated: 1, grace: n - 1 })
      const winner = outcomes.findIndex(({ outcome }) => outcome === 'rotated')
      expect((await grant())?.refresh).toMatchObject({
        generation: 1,
        currentHash: `successor-${winner}`,
      })
      const replays = outcomes.flatMap(result => (result.outcome === 'grace' ? [result.replay] : []))
      expect(new Set(replays)).toEqual(new Set([`reply-${winner}`]))
    })

    it('R104: parallel uses without a grace have one success, and the family ends', async () => {
      await openFamily()
      const outcomes = await Promise.all(
        times(20, i =>
          store.rotateRefreshToken(rotate(0, { graceSeconds: 0, successorHash: `successor-${i}` })),
        ),
      )
      expect(tally(outcomes.map(({ outcome }) => outcome))).toEqual({ rotated: 1, reused: 1, revoked: 18 })
      expect(await grant()).toMatchObject({ revokedBy: 'refresh_token_reused' })
    })

    it.each([
      ['the grace has passed', 1, { now: now + 10 }, 'reused'],
      ['the grace has not passed', 1, { now: now + 9 }, 'grace'],
      ['the successor was used', 2, { now: now + 1 }, 'reused'],
      ['there is no grace', 1, { graceSeconds: 0 }, 'reused'],
    ] as const)('R105: a used token presented when %s', async (_, rotations, over, outcome) => {
      await openFamily()
      for (let i = 0; i < rotations; i++) await store.rotateRefreshToken(rotate(i))
      const before = await grant()
      expect((await store.rotateRefreshToken(rotate(0, over))).outcome).toBe(outcome)
      if (outcome === 'grace') expect(await grant(), 'the grace extends nothing').toEqual(before)
      else expect(await isRevoked()).toBe(true)
    })

    it('R105: the grace does not outlive the idle end', async () => {
      await openFamily({}, redeem({ refresh: { hash: 'refresh-0', idleEndsAt: now + 5 } }))
      await store.rotateRefreshToken(rotate(0, { idleEndsAt: now + 5 }))
      expect(await store.rotateRefreshToken(rotate(0, { now: now + 5 }))).toEqual({ outcome: 'expired' })
      expect(await isRevoked()).toBe(false)
    })

    it('R103: a token two generations old ends the family, and with it the newest token', async () => {
      await openFamily()
      for (let i = 0; i < 5; i++) await store.rotateRefreshToken(rotate(i))
      expect(await store.rotateRefreshToken(rotate(1))).toEqual({ outcome: 'reused' })
      expect(await store.rotateRefreshToken(rotate(5))).toEqual({ outcome: 'revoked' })
      expect(await grant()).toMatchObject({ revokedAt: now, revokedBy: 'refresh_token_reused' })
    })

    it('R106: a used token still ends the family when it was rotated away long ago', async () => {
      await openFamily({ endsAt: 0 })
      let at = now
      for (let i = 0; i < 40; i++) {
        at += 80_000
        const step = rotate(i, { now: at, idleEndsAt: at + 86_400, accessEndsAt: at + 900 })
        expect(await store.rotateRefreshToken(step)).toEqual({ outcome: 'rotated' })
        await store.cleanupExpired({ now: at })
      }
      expect(await store.rotateRefreshToken(rotate(0, { now: at + 86_399 }))).toEqual({ outcome: 'reused' })
    })

    it('R97: a guessed token of a known family changes nothing; also not of a revoked one', async () => {
      await openFamily()
      const guess = () => rotate(0, { presentedHash: 'guess', genuine: false })
      const before = await grant()
      expect(await store.rotateRefreshToken(guess())).toEqual({ outcome: 'unknown' })
      expect(await grant()).toEqual(before)
      await store.revokeGrant(revoke())
      expect(await store.rotateRefreshToken(guess())).toEqual({ outcome: 'unknown' })
    })

    it('a token whose secret has left the ring rotates as long as it is the current one', async () => {
      await openFamily()
      expect(await store.rotateRefreshToken(rotate(0, { genuine: false }))).toEqual({ outcome: 'rotated' })
    })

    it('R110: idle time ends a token and slides with its use, up to the absolute end', async () => {
      await openFamily(
        { endsAt: now + 250 },
        redeem({ refresh: { hash: 'refresh-0', idleEndsAt: now + 100 } }),
      )
      const at = (second: number) => ({ now: now + second, idleEndsAt: now + second + 100 })
      expect(await store.rotateRefreshToken(rotate(0, at(99)))).toEqual({ outcome: 'rotated' })
      expect(await store.rotateRefreshToken(rotate(1, at(199)))).toEqual({ outcome: 'expired' })
      expect(await isRevoked()).toBe(false)
    })

    it('R110: no chain of refreshes goes past the absolute end', async () => {
      await openFamily(
        { endsAt: now + 250 },
        redeem({ refresh: { hash: 'refresh-0', idleEndsAt: now + 1000 } }),
      )
      expect((await grant())?.refresh?.idleEndsAt).toBe(now + 250)
      const far = { idleEndsAt: now + 9000, accessEndsAt: now + 250 }
      await store.rotateRefreshToken(rotate(0, { ...far, now: now + 249 }))
      expect((await grant())?.refresh?.idleEndsAt).toBe(now + 250)
      const late = await store.rotateRefreshToken(rotate(1, { ...far, now: now + 250 }))
      expect(['expired', 'unknown']).toContain(late.outcome)
    })

    it('R164: a rotation whose reply was lost is sent again and still succeeds, however much came between', async () => {
      await openFamily()
      const lost = rotate(0)
      const lostInGrace = rotate(0)
      expect(await store.rotateRefreshToken(lost)).toEqual({ outcome: 'rotated' })
      const inGrace = await store.rotateRefreshToken(lostInGrace)
      expect(inGrace).toEqual({ outcome: 'grace', replay: 'reply-1' })
      for (let i = 1; i < 5; i++) await store.rotateRefreshToken(rotate(i))
      const before = await grant()
      expect(await store.rotateRefreshToken(lost)).toEqual({ outcome: 'rotated' })
      expect(await store.rotateRefreshToken(lostInGrace)).toEqual(inGrace)
      expect(await grant()).toEqual(before)
    })

    it('R164: reuse found by a step whose reply was lost is told when it is sent again', async () => {
      await openFamily()
      await store.rotateRefreshToken(rotate(0))
      const reuse = rotate(0, { graceSeconds: 0 })
      expect(await store.rotateRefreshToken(reuse)).toEqual({ outcome: 'reused' })
      expect(await store.rotateRefreshToken(reuse)).toEqual({ outcome: 'reused' })
    })

    it('R108: rotation does not touch what was granted', async () => {
      await openFamily()
      await store.rotateRefreshToken(rotate(0))
      const { scopes, resource, clientId, userId, endsAt } = aGrant()
      expect(await grant()).toMatchObject({ scopes, resource, clientId, userId, endsAt })
    })

    it('R111: a family without refresh tokens rotates nothing', async () => {
      const { refresh: _, ...withoutRefresh } = redeem()
      await openFamily({}, withoutRefresh as ReturnType<typeof redeem>)
      expect(await store.rotateRefreshToken(rotate(0))).toEqual({ outcome: 'unknown' })
      expect((await grant())?.refresh).toBeUndefined()
      expect(await grant(now + 900), 'ends with its access token').toBeUndefined()
    })
  })
}
