import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../store.ts'
import { aCallTask, type CallTaskWrite, hostileIds, now, tally, times } from './samples.ts'

/** Tasks of callers: whose they are, how many, and who writes. */
export function describeCallTasks(getStore: () => Store): void {
  let store: Store
  beforeEach(() => {
    store = getStore()
  })

  describe('tasks of callers', () => {
    const put = (over: Partial<CallTaskWrite> = {}, limit = 2, at = now) =>
      store.putCallTask({ record: aCallTask(over), limit, now: at })
    const find = (over: Partial<CallTaskWrite> = {}, at = now) => {
      const { callerHash, idHash } = aCallTask(over)
      return store.findCallTask({ callerHash, idHash, now: at })
    }
    const replace = (generation: number, sealed = `write ${generation}`, at = now) =>
      store.replaceCallTask({ callerHash: 'caller', idHash: 'id', sealed, generation, now: at })

    it('is absent until it is put, counts writes, and ends when it was to end, whoever writes it', async () => {
      expect(await find()).toBeUndefined()
      expect(await replace(0)).toBe('stale')
      expect(await replace(1)).toBe('stale')
      expect(await put()).toBe('stored')
      expect(await find()).toEqual({ ...aCallTask(), generation: 1 })
      expect(await replace(1)).toBe('replaced')
      expect(await find({}, now + 59)).toEqual({ ...aCallTask({ sealed: 'write 1' }), generation: 2 })
      expect(await find({}, now + 60)).toBeUndefined()
      expect(await replace(2, 'late', now + 60)).toBe('stale')
    })

    it('keeps a result of more than a megabyte whole', async () => {
      const sealed = 'x:'.repeat(700_000)
      await put()
      expect(await replace(1, sealed)).toBe('replaced')
      expect((await find())?.sealed === sealed).toBe(true)
    })

    it('R160: nobody finds or writes the task of another caller by its id', async () => {
      for (const callerHash of hostileIds) {
        expect(await put({ callerHash, sealed: callerHash })).toBe('stored')
        expect(await find({ callerHash, idHash: 'other' })).toBeUndefined()
      }
      expect(await find()).toBeUndefined()
      expect(await replace(1)).toBe('stale')
      for (const callerHash of hostileIds) {
        expect(await find({ callerHash })).toMatchObject({ sealed: callerHash, generation: 1 })
      }
    })

    it('keeps ids apart, whatever they are called', async () => {
      for (const idHash of hostileIds) expect(await put({ idHash, sealed: idHash }, 99)).toBe('stored')
      for (const idHash of hostileIds) expect(await find({ idHash })).toMatchObject({ sealed: idHash })
    })

    it('R171: a caller has no more than it may, loses none for a new one, and gets room when one ends', async () => {
      const ids = times(20, i => `id ${i}`)
      const outcomes = await Promise.all(ids.map(idHash => put({ idHash })))
      expect(tally(outcomes)).toEqual({ stored: 2, full: 18 })
      expect(await put({ callerHash: 'other' })).toBe('stored')
      expect(await put({ idHash: 'late', expiresAt: now + 120 }, 2, now + 60)).toBe('stored')
    })

    it('of 20 writers that started from the same state, one writes', async () => {
      await put()
      const outcomes = await Promise.all(times(20, i => replace(1, `writer ${i}`)))
      expect(tally(outcomes)).toEqual({ replaced: 1, stale: 19 })
      expect(await find()).toMatchObject({ generation: 2 })
    })

    it('R164: a write whose reply was lost is sent again and counts once, and never takes back a later one', async () => {
      expect(await put({}, 1)).toBe('stored')
      expect(await put({}, 1)).toBe('stored')
      expect(await replace(1)).toBe('replaced')
      expect(await replace(1)).toBe('replaced')
      expect(await put({}, 1)).toBe('stored')
      expect(await find()).toMatchObject({ sealed: 'write 1', generation: 2 })
      expect(await replace(2)).toBe('replaced')
      expect(await replace(1)).toBe('stale')
    })
  })
}
