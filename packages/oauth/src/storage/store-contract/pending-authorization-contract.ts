import { beforeEach, describe, expect, it } from 'vitest'
import type { PendingAuthorization } from '../records.ts'
import type { Store } from '../store.ts'
import { aPendingAuthorization, now, operation, tally, times } from './samples.ts'

/** Pending authorizations. */
export function describePendingAuthorizations(getStore: () => Store): void {
  let store: Store
  beforeEach(() => {
    store = getStore()
  })

  describe('pending authorizations', () => {
    const step = (over: Partial<Parameters<Store['stepPendingAuthorization']>[0]> = {}) => ({
      id: 'transaction',
      fromStep: 0,
      next: aPendingAuthorization({ step: 1 }),
      now,
      ...operation(),
      ...over,
    })
    const put = (over: Partial<PendingAuthorization> = {}, at = now) =>
      store.putPendingAuthorization({ record: aPendingAuthorization(over), limit: 3, now: at })
    const find = (at = now) => store.findPendingAuthorization({ id: 'transaction', now: at })

    it('finds what was stored until its end', async () => {
      expect(await put()).toBe('stored')
      expect(await find(now + 599)).toEqual(aPendingAuthorization())
      expect(await find(now + 600)).toBeUndefined()
    })

    it('R60: at the limit nothing is stored and nobody else loses a sign-in; ended ones make room', async () => {
      expect(await Promise.all(times(5, i => put({ id: `t${i}` }))).then(tally)).toEqual({
        stored: 3,
        full: 2,
      })
      expect(await put({ id: 't0' }), 'sent twice, counted once').toBe('stored')
      const found = await Promise.all(times(5, i => store.findPendingAuthorization({ id: `t${i}`, now })))
      expect(found.filter(Boolean)).toHaveLength(3)
      expect(await put({ id: 'late', expiresAt: now + 1200 }, now + 600)).toBe('stored')
    })

    it('R163: of 20 requests that take a step at once, one takes it', async () => {
      await put()
      const outcomes = await Promise.all(times(20, () => store.stepPendingAuthorization(step())))
      expect(tally(outcomes)).toEqual({ taken: 1, stale: 19 })
      expect((await find())?.step).toBe(1)
    })

    it.each([
      ['to the next step', aPendingAuthorization({ step: 1 })],
      ['to the end', undefined],
    ])('R164: a step %s sent again has the effect of one', async (_, next) => {
      await put()
      const once = step({ next })
      expect(await store.stepPendingAuthorization(once)).toBe('taken')
      expect(await store.stepPendingAuthorization(once)).toBe('taken')
      expect(await find()).toEqual(next)
      expect(await store.stepPendingAuthorization(step({ next }))).toBe(next ? 'stale' : 'unknown')
    })

    it('a record sent again does not take back a step', async () => {
      await put()
      await store.stepPendingAuthorization(step())
      await put()
      expect((await find())?.step).toBe(1)
    })

    it('does not know a transaction that never was or has ended', async () => {
      expect(await store.stepPendingAuthorization(step())).toBe('unknown')
      await put()
      expect(await store.stepPendingAuthorization(step({ now: now + 600 }))).toBe('unknown')
    })
  })
}
