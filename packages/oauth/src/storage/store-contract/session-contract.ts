import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../store.ts'
import { hostileIds, now, operation, tally, times } from './samples.ts'

/** Single use, ended sessions and their events. */
export function describeSingleUseAndSessions(getStore: () => Store): void {
  let store: Store
  beforeEach(() => {
    store = getStore()
  })

  describe('single use', () => {
    const claim = (over: Partial<Parameters<Store['claimSingleUse']>[0]> = {}) =>
      store.claimSingleUse({
        kind: 'jti',
        idHash: 'id',
        expiresAt: now + 60,
        now,
        ...operation(),
        ...over,
      })

    it('R163: of 50 parallel claims of one id, one succeeds', async () => {
      expect(tally(await Promise.all(times(50, () => claim())))).toEqual({ claimed: 1, used: 49 })
    })

    it('R164: a claim whose reply was lost is sent again and still succeeds', async () => {
      const once = operation()
      expect(await claim(once)).toBe('claimed')
      expect(await claim(once)).toBe('claimed')
      expect(await claim()).toBe('used')
    })

    it('keeps kinds apart, and remembers until the end', async () => {
      expect(await claim()).toBe('claimed')
      expect(await claim({ kind: 'connect-link' })).toBe('claimed')
      expect(await claim({ now: now + 59 })).toBe('used')
      expect(await claim({ now: now + 60, expiresAt: now + 120 })).toBe('claimed')
    })

    it('tells whether an id is used without using it', async () => {
      const isClaimed = (at = now, kind: 'jti' | 'security-event' = 'security-event') =>
        store.isSingleUseClaimed({ kind, idHash: 'id', now: at })
      expect(await isClaimed()).toBe(false)
      expect(await isClaimed()).toBe(false)
      expect(await claim({ kind: 'security-event' })).toBe('claimed')
      expect([await isClaimed(), await isClaimed(now, 'jti')]).toEqual([true, false])
      expect([await isClaimed(now + 59), await isClaimed(now + 60)]).toEqual([true, false])
    })
  })

  describe('sessions', () => {
    const append = (position: number, over: Partial<Parameters<Store['appendEvent']>[0]> = {}) =>
      store.appendEvent({
        stream: 'session:stream',
        position,
        sealed: `event ${position}`,
        limit: 3,
        expiresAt: now + 60,
        now,
        ...over,
      })
    const read = (over: Partial<Parameters<Store['readEvents']>[0]> = {}) =>
      store.readEvents({ stream: 'session:stream', after: 0, now, ...over })
    const events = (...positions: number[]) =>
      positions.map(position => ({ position, sealed: `event ${position}` }))

    it('a session that was ended stays ended for as long as its id is valid', async () => {
      expect(await store.isSessionEnded({ idHash: 'id', now })).toBe(false)
      await store.putEndedSession({ idHash: 'id', expiresAt: now + 60, now })
      expect(await store.isSessionEnded({ idHash: 'id', now: now + 59 })).toBe(true)
      expect(await store.isSessionEnded({ idHash: 'id', now: now + 60 })).toBe(false)
      expect(await store.isSessionEnded({ idHash: 'other', now })).toBe(false)
    })

    it('a client that comes back gets the events behind the last one it saw, in order', async () => {
      await append(2)
      await append(1)
      await append(3)
      expect(await read()).toEqual(events(1, 2, 3))
      expect(await read({ after: 2 })).toEqual(events(3))
      expect(await read({ after: 3 })).toEqual([])
    })

    it('keeps streams apart', async () => {
      await append(1)
      for (const stream of hostileIds) await append(1, { stream, sealed: stream })
      expect(await read()).toEqual(events(1))
      for (const stream of hostileIds) {
        expect(await read({ stream })).toEqual([{ position: 1, sealed: stream }])
      }
    })

    it('R171: keeps the last events only, whatever comes', async () => {
      for (let position = 1; position <= 10; position++) await append(position)
      expect(await read()).toEqual(events(8, 9, 10))
      expect(await read({ after: 9 })).toEqual(events(10))
    })

    it('R164: an event sent again is there once, and none takes the place of another', async () => {
      await append(1)
      await append(1)
      await append(1, { sealed: 'another' })
      expect(await read()).toEqual(events(1))
    })

    it('an event whose end has passed is gone', async () => {
      await append(1)
      await append(2, { expiresAt: now + 90 })
      expect(await read({ now: now + 60 })).toEqual(events(2))
      expect(await read({ now: now + 90 })).toEqual([])
    })
  })
}
