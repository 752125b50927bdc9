import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../store.ts'
import { familySteps } from './family-steps.ts'
import { aGrant, now, operation, redeem, revoke, rotate, times } from './samples.ts'

/** The redemption of authorization codes. */
export function describeAuthorizationCodes(getStore: () => Store): void {
  const { openFamily, grant } = familySteps(getStore)
  let store: Store
  beforeEach(() => {
    store = getStore()
  })

  describe('authorization codes', () => {
    it('R95: of 50 parallel redemptions of one code, one succeeds', async () => {
      await store.putGrant({ record: aGrant(), now })
      const outcomes = await Promise.all(times(50, () => store.redeemCode(redeem())))
      expect(outcomes.filter(outcome => outcome === 'redeemed')).toHaveLength(1)
      expect(outcomes).toContain('replayed')
    })

    it('keeps what the redemption brought', async () => {
      await openFamily()
      expect(await grant()).toEqual(
        aGrant({
          accessEndsAt: now + 900,
          code: { ...aGrant().code, redeemedAt: now },
          refresh: { generation: 0, currentHash: 'refresh-0', idleEndsAt: now + 86_400 },
        }),
      )
    })

    it('R96: a second redemption revokes the family, wherever its refresh token has been rotated to', async () => {
      await openFamily()
      await store.rotateRefreshToken(rotate(0))
      await store.rotateRefreshToken(rotate(1))
      expect(await store.redeemCode(redeem({ now: now + 700 }))).toBe('replayed')
      expect(await grant()).toMatchObject({ revokedAt: now + 700, revokedBy: 'code_replayed' })
      expect(await store.rotateRefreshToken(rotate(2))).toEqual({ outcome: 'revoked' })
      expect(await store.redeemCode(redeem())).toBe('revoked')
    })

    it('R97: a guessed code of a known family changes nothing', async () => {
      await openFamily()
      const before = await grant()
      expect(await store.redeemCode(redeem({ codeHash: 'guess' }))).toBe('unknown')
      await store.countFailedRedemption({ id: 'family', codeHash: 'guess', limit: 1, now, ...operation() })
      expect(await grant()).toEqual(before)
    })

    it('R164: a redemption whose reply was lost is sent again and still succeeds', async () => {
      await store.putGrant({ record: aGrant(), now })
      const once = redeem()
      expect(await store.redeemCode(once)).toBe('redeemed')
      const after = await grant()
      expect(await store.redeemCode(once)).toBe('redeemed')
      expect(await grant()).toEqual(after)
    })

    it('R164: a grant sent again after its code was redeemed does not make the code new', async () => {
      await openFamily()
      await store.putGrant({ record: aGrant(), now })
      expect(await store.redeemCode(redeem())).toBe('replayed')
    })

    it('R57: a code that nobody redeemed in time is gone', async () => {
      await store.putGrant({ record: aGrant(), now })
      expect(await grant(now + 599)).toBeDefined()
      expect(await grant(now + 600)).toBeUndefined()
      expect(await store.redeemCode(redeem({ now: now + 600 }))).toBe('unknown')
    })

    it('a code of a revoked or an unknown family is not redeemed', async () => {
      expect(await store.redeemCode(redeem())).toBe('unknown')
      await store.putGrant({ record: aGrant(), now })
      await store.revokeGrant(revoke())
      expect(await store.redeemCode(redeem())).toBe('revoked')
      expect(await store.listRevocations({ now }), 'no access token to refuse').toEqual([])
    })

    it('R102: the code is spent after as many wrong verifiers as the limit says, each counted once', async () => {
      await store.putGrant({ record: aGrant(), now })
      const fail = (id = operation()) =>
        store.countFailedRedemption({ id: 'family', codeHash: 'code', limit: 5, now, ...id })
      const again = operation()
      await fail(again)
      await fail(again)
      for (let i = 0; i < 3; i++) await fail()
      expect((await grant())?.code.failures).toBe(4)
      await fail()
      expect(await store.redeemCode(redeem())).toBe('unknown')
    })

    it('R97: wrong verifiers after the redemption do not touch the family', async () => {
      await openFamily()
      const before = await grant()
      for (let i = 0; i < 5; i++) {
        await store.countFailedRedemption({ id: 'family', codeHash: 'code', limit: 2, now, ...operation() })
      }
      expect(await grant()).toEqual(before)
    })
  })
}
