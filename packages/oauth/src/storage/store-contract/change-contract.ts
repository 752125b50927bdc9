import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../store.ts'
import { hostileIds, now } from './samples.ts'

/** What sessions follow, and what they are told of. */
export function describeChanges(getStore: () => Store): void {
  let store: Store
  beforeEach(() => {
    store = getStore()
  })

  describe('what a session follows', () => {
    const follow = (idHash: string, over: Partial<Parameters<Store['putSubscription']>[0]> = {}) =>
      store.putSubscription({
        session: 'session',
        idHash,
        sealed: `sealed ${idHash}`,
        limit: 3,
        expiresAt: now + 60,
        now,
        ...over,
      })
    const followed = async (over: Partial<Parameters<Store['listSubscriptions']>[0]> = {}) =>
      (await store.listSubscriptions({ session: 'session', now, ...over })).sort()

    it('is known to whoever serves the session next, until the session ends', async () => {
      expect(await follow('a')).toBe('stored')
      expect(await follow('b')).toBe('stored')
      expect(await followed()).toEqual(['sealed a', 'sealed b'])
      await store.deleteSubscription({ session: 'session', idHash: 'a', now })
      await store.deleteSubscription({ session: 'session', idHash: 'never', now })
      expect(await followed()).toEqual(['sealed b'])
      expect(await followed({ now: now + 60 })).toEqual([])
    })

    it('R164: sent again, it is there once', async () => {
      await follow('a')
      expect(await follow('a', { sealed: 'sealed anew' })).toBe('stored')
      expect(await followed()).toEqual(['sealed anew'])
    })

    it('R171: is no more than the limit, and what is known stays', async () => {
      for (const id of ['a', 'b', 'c']) await follow(id)
      expect(await follow('d')).toBe('full')
      expect(await follow('a')).toBe('stored')
      expect(await followed()).toEqual(['sealed a', 'sealed b', 'sealed c'])
    })

    it('R160: is of no other session', async () => {
      for (const id of hostileIds) await follow(id, { session: id, sealed: id })
      expect(await followed()).toEqual([])
      for (const id of hostileIds) expect(await followed({ session: id })).toEqual([id])
    })
  })

  describe('changes', () => {
    it('reach those who follow, each once, and nobody who has stopped', async () => {
      const heard: string[] = []
      const stop = store.watchChanges({ onChange: sealed => heard.push(sealed), onGap: () => {} })
      for (const sealed of ['one', 'two', 'three']) await store.announceChange({ sealed, now })
      await expect.poll(() => heard.length, { timeout: 20_000, interval: 5 }).toBe(3)
      expect(heard.sort()).toEqual(['one', 'three', 'two'])
      stop()
      const later: string[] = []
      store.watchChanges({ onChange: sealed => later.push(sealed), onGap: () => {} })
      await store.announceChange({ sealed: 'four', now })
      await expect.poll(() => later, { timeout: 20_000, interval: 5 }).toEqual(['four'])
      expect(heard).toHaveLength(3)
    })
  })
}
