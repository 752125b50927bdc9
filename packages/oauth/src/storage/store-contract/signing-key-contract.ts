import { beforeEach, describe, expect, it } from 'vitest'
import type { SigningKey } from '../records.ts'
import type { Store } from '../store.ts'
import { aSigningKey, now, tally, times } from './samples.ts'

/** Signing keys. */
export function describeSigningKeys(getStore: () => Store): void {
  let store: Store
  beforeEach(() => {
    store = getStore()
  })

  describe('signing keys', () => {
    const put = (record: SigningKey, newestKid: string | undefined) =>
      store.putSigningKey({ record, newestKid, now })

    it('R174: of processes that make the first key at once, one stores its own', async () => {
      const outcomes = await Promise.all(times(10, i => put(aSigningKey(`kid-${i}`), undefined)))
      expect(tally(outcomes)).toEqual({ stored: 1, stale: 9 })
      expect(await store.listSigningKeys({ now })).toHaveLength(1)
    })

    it('lists keys oldest first, and a retired one no more', async () => {
      await put(aSigningKey('old', { retiresAt: now + 100 }), undefined)
      expect(await put(aSigningKey('new'), undefined)).toBe('stale')
      // Another machine's clock may be behind: the order of keys is the order in which they came.
      expect(await put(aSigningKey('new', { createdAt: now - 5 }), 'old')).toBe('stored')
      expect(await put(aSigningKey('new', { createdAt: now - 5 }), 'old'), 'sent again').toBe('stored')
      const kids = async (at: number) => (await store.listSigningKeys({ now: at })).map(({ kid }) => kid)
      expect(await kids(now + 99)).toEqual(['old', 'new'])
      expect(await kids(now + 100)).toEqual(['new'])
    })

    it('R174: of processes that publish the next key at once, one stores its own', async () => {
      await put(aSigningKey('old'), undefined)
      const outcomes = await Promise.all(times(10, i => put(aSigningKey(`kid-${i}`), 'old')))
      expect(tally(outcomes)).toEqual({ stored: 1, stale: 9 })
    })

    it('R174: a key that is retired stays until its end, and stays in its place', async () => {
      await put(aSigningKey('old'), undefined)
      await put(aSigningKey('new'), 'old')
      const retire = (over: Partial<Parameters<Store['retireSigningKey']>[0]> = {}) =>
        store.retireSigningKey({ kid: 'old', retiresAt: now + 100, now, ...over })
      expect(tally(await Promise.all(times(10, () => retire())))).toEqual({ retired: 1, already: 9 })
      expect(await store.listSigningKeys({ now })).toEqual([
        aSigningKey('old', { retiresAt: now + 100 }),
        aSigningKey('new'),
      ])
      expect(await retire({ retiresAt: now + 101 }), 'an end is not put off').toBe('already')
      expect(await retire({ retiresAt: now + 50 }), 'but brought forward').toBe('retired')
      expect(await store.listSigningKeys({ now: now + 49 })).toHaveLength(2)
      expect(await store.listSigningKeys({ now: now + 50 })).toEqual([aSigningKey('new')])
      expect(await retire({ now: now + 50 })).toBe('unknown')
      expect(await retire({ kid: 'never' })).toBe('unknown')
      expect(await put(aSigningKey('next'), 'new'), 'the newest is who it was').toBe('stored')
    })

    it('R178: of processes that seal a key again at once, one does, and changes nothing else', async () => {
      await put(aSigningKey('old', { retiresAt: now + 100 }), undefined)
      await put(aSigningKey('new'), 'old')
      const reseal = (sealed: string, over: Partial<Parameters<Store['resealSigningKey']>[0]> = {}) =>
        store.resealSigningKey({ kid: 'old', sealed, expectedSealed: 'sealed', now, ...over })
      const outcomes = await Promise.all(times(10, i => reseal(`again-${i}`)))
      expect(tally(outcomes)).toEqual({ resealed: 1, stale: 9 })
      const sealed = `again-${outcomes.indexOf('resealed')}`
      const keys = [aSigningKey('old', { retiresAt: now + 100, sealed }), aSigningKey('new')]
      expect(await store.listSigningKeys({ now })).toEqual(keys)
      expect(await reseal(sealed), 'sent again').toBe('resealed')
      expect(await store.listSigningKeys({ now })).toEqual(keys)
      expect(await reseal('x', { kid: 'never' })).toBe('stale')
      expect(await reseal('x', { expectedSealed: sealed, now: now + 100 }), 'retired').toBe('stale')
    })

    it('R178: sealing a key again does not bring it back when it is retired meanwhile', async () => {
      await put(aSigningKey('kid'), undefined)
      await Promise.all([
        store.resealSigningKey({ kid: 'kid', sealed: 'again', expectedSealed: 'sealed', now }),
        store.retireSigningKey({ kid: 'kid', retiresAt: now + 100, now }),
      ])
      expect(await store.listSigningKeys({ now })).toEqual([
        aSigningKey('kid', { sealed: 'again', retiresAt: now + 100 }),
      ])
    })
  })
}
