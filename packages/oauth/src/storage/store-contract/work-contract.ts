import { beforeEach, describe, expect, it } from 'vitest'
import type { Task } from '../records.ts'
import type { Store } from '../store.ts'
import { aCircuit, aTask, type CircuitWrite, hostileIds, now, tally, times, unique } from './samples.ts'

/** What processes share out among themselves: leases, circuits and tasks. */
export function describeWork(getStore: () => Store): void {
  let store: Store
  beforeEach(() => {
    store = getStore()
  })

  describe('leases', () => {
    type Claim = Parameters<Store['claimLease']>[0]
    const lease = { kind: 'connection_refresh', id: 'id' } as const
    const claim = (over: Partial<Claim> = {}) =>
      store.claimLease({
        ...lease,
        owner: `owner-${unique()}`,
        endsAt: now + 30,
        takesOver: true,
        now,
        ...over,
      })
    const claimed = { outcome: 'claimed', isTakenOver: false }

    it('R180: of 50 parallel claims, one succeeds; the others learn until when', async () => {
      const outcomes = await Promise.all(times(50, () => claim()))
      expect(tally(outcomes.map(({ outcome }) => outcome))).toEqual({ claimed: 1, held: 49 })
      expect(outcomes).toContainEqual({ outcome: 'held', endsAt: now + 30 })
    })

    it('R180: what was given back can be claimed at once, and only its owner gives it back', async () => {
      await claim({ owner: 'a' })
      await store.releaseLease({ ...lease, owner: 'b', now })
      expect(await claim({ owner: 'b' })).toEqual({ outcome: 'held', endsAt: now + 30 })
      await store.releaseLease({ ...lease, owner: 'a', now })
      expect(await claim({ owner: 'b' })).toEqual(claimed)
      await store.releaseLease({ ...lease, owner: 'a', now })
      expect(await claim({ owner: 'c' })).toEqual({ outcome: 'held', endsAt: now + 30 })
    })

    it('R180: after its end it is taken over, and whoever does knows that it was not given back', async () => {
      await claim({ owner: 'a' })
      expect(await claim({ now: now + 29 })).toMatchObject({ outcome: 'held' })
      const late = { now: now + 30, endsAt: now + 60 }
      expect(await claim({ ...late, takesOver: false })).toEqual({ outcome: 'abandoned' })
      expect(await claim({ ...late, owner: 'b' })).toEqual({ outcome: 'claimed', isTakenOver: true })
      // The one that was late gives back nothing of its successor's.
      await store.releaseLease({ ...lease, owner: 'a', now: now + 30 })
      expect(await claim({ ...late, owner: 'c' })).toEqual({ outcome: 'held', endsAt: now + 60 })
    })

    it('R181: an owner that comes back late can still say that it is done', async () => {
      await claim({ owner: 'a' })
      await store.releaseLease({ ...lease, owner: 'a', now: now + 40 })
      expect(await claim({ now: now + 40, endsAt: now + 70, takesOver: false })).toEqual(claimed)
    })

    it('that it was not given back is forgotten after ten minutes', async () => {
      await claim()
      const late = { endsAt: now + 700, takesOver: false }
      expect(await claim({ ...late, now: now + 629 })).toEqual({ outcome: 'abandoned' })
      expect(await claim({ ...late, now: now + 630 })).toEqual(claimed)
    })

    it('R164: a claim whose reply was lost is sent again and still succeeds', async () => {
      expect(await claim({ owner: 'a' })).toEqual(claimed)
      expect(await claim({ owner: 'a' })).toEqual(claimed)
      const late = { owner: 'b', now: now + 30, endsAt: now + 60 }
      for (const _ of [1, 2]) {
        expect(await claim(late)).toEqual({ outcome: 'claimed', isTakenOver: true })
      }
    })

    it('keeps ids apart, whatever they are called', async () => {
      for (const id of hostileIds) expect(await claim({ id, owner: id })).toEqual(claimed)
      for (const id of hostileIds) await store.releaseLease({ ...lease, id, owner: id, now })
      for (const id of hostileIds) expect(await claim({ id })).toEqual(claimed)
    })
  })

  describe('circuits', () => {
    const id = 'google client'
    const replace = (generation: number, over: Partial<CircuitWrite> = {}, at = now) =>
      store.replaceCircuit({ record: aCircuit(over), generation, now: at })

    it('is absent until one is written, counts generations, and ends', async () => {
      expect(await store.findCircuit({ id, now })).toBeUndefined()
      const first = aCircuit()
      expect(await store.replaceCircuit({ record: first, generation: 0, now })).toBe('replaced')
      expect(await store.findCircuit({ id, now })).toEqual({ ...first, generation: 1 })
      expect(await replace(1, { state: 'half_open' })).toBe('replaced')
      expect(await store.findCircuit({ id, now })).toMatchObject({ state: 'half_open', generation: 2 })
      expect(await store.findCircuit({ id, now: now + 3600 })).toBeUndefined()
      expect(await replace(0, { expiresAt: now + 7200 }, now + 3600)).toBe('replaced')
    })

    it('R182: of 20 processes that want to probe an open one, one may', async () => {
      await replace(0)
      const outcomes = await Promise.all(times(20, () => replace(1, { state: 'half_open' })))
      expect(tally(outcomes)).toEqual({ replaced: 1, stale: 19 })
      expect(await replace(0)).toBe('stale')
    })

    it('R164: a write whose reply was lost is sent again and counts once', async () => {
      const record = aCircuit()
      expect(await store.replaceCircuit({ record, generation: 0, now })).toBe('replaced')
      expect(await store.replaceCircuit({ record, generation: 0, now })).toBe('replaced')
      expect(await store.findCircuit({ id, now })).toMatchObject({ generation: 1 })
    })

    it('keeps ids apart, whatever they are called', async () => {
      for (const hostile of hostileIds) expect(await replace(0, { id: hostile })).toBe('replaced')
      for (const hostile of hostileIds) {
        expect((await store.findCircuit({ id: hostile, now }))?.id).toBe(hostile)
      }
    })
  })

  describe('tasks', () => {
    const queue = { kind: 'refresh', provider: 'google' } as const
    const put = (over: Partial<Task> = {}, replaces = true) =>
      store.putTask({ record: aTask(over), replaces, now })
    const claim = (over: Partial<Parameters<Store['claimTasks']>[0]> = {}) =>
      store.claimTasks({
        ...queue,
        owner: `owner-${unique()}`,
        limit: 10,
        until: now + 60,
        now,
        ...over,
      })
    const ids = (tasks: readonly Task[]) => tasks.map(({ id }) => id)
    const replace = (over: Partial<Parameters<Store['replaceTask']>[0]>) =>
      store.replaceTask({ ...queue, id: 'task', writtenBy: '', next: undefined, now, ...over })

    it('R180: what is due is claimed once, longest due first, and by nobody else until the claim ends', async () => {
      for (const [i, dueAt] of [now, now - 20, now + 1, now - 10].entries()) {
        await put({ id: `task-${i}`, dueAt })
      }
      expect(ids(await claim({ limit: 2 }))).toEqual(['task-1', 'task-3'])
      expect(ids(await claim())).toEqual(['task-0'])
      expect(await claim({ now: now + 1, until: now + 90 })).toMatchObject([{ id: 'task-2' }])
      expect(ids(await claim({ now: now + 60, until: now + 120 })).sort()).toEqual([
        'task-0',
        'task-1',
        'task-3',
      ])
    })

    it('R180: of 20 processes that claim the same 30 tasks, each gets others', async () => {
      for (const i of times(30, i => i)) await put({ id: `task-${i}` })
      const claims = await Promise.all(times(20, () => claim({ limit: 3 })))
      const all = claims.flatMap(ids)
      expect(all).toHaveLength(30)
      expect(new Set(all).size).toBe(30)
    })

    it('a claim gives back all that was written, named after its owner', async () => {
      const record = aTask({ attempts: 3, sealed: 'sealed', accessEndsAt: 0 })
      await store.putTask({ record, replaces: false, now })
      expect(await claim({ owner: 'owner' })).toEqual([{ ...record, writtenBy: 'owner', dueAt: now + 60 }])
    })

    it('R164: a claim whose reply was lost is sent again and gets the same tasks', async () => {
      for (const i of times(5, i => i)) await put({ id: `task-${i}`, dueAt: now - i })
      const first = await claim({ owner: 'owner', limit: 2 })
      expect(ids(await claim({ owner: 'owner', limit: 2 })).sort()).toEqual(ids(first).sort())
      expect(await claim()).toHaveLength(3)
      expect(ids(await claim({ owner: 'owner', limit: 2 })).sort()).toEqual(ids(first).sort())
    })

    it('one that is there stays as it is, unless it is to be replaced', async () => {
      expect(await put({ dueAt: now + 5 }, false)).toBe('stored')
      expect(await put({}, false)).toBe('exists')
      expect(await claim()).toEqual([])
      expect(await put({}, true)).toBe('stored')
      expect(ids(await claim())).toEqual(['task'])
    })

    it('whoever holds a claim puts it off or ends it; who was replaced meanwhile does neither', async () => {
      await put()
      const [task] = await claim({ owner: 'a' })
      const next = { ...task!, writtenBy: 'later', dueAt: now + 30, attempts: 1 }
      expect(await replace({ writtenBy: 'a', next })).toBe('replaced')
      expect(await claim({ now: now + 29, until: now + 90 })).toEqual([])
      expect(await replace({ writtenBy: 'a', next: { ...next, writtenBy: 'too late' } })).toBe('stale')
      expect(await replace({ writtenBy: 'a' })).toBe('stale')
      const [again] = await claim({ owner: 'b', now: now + 30, until: now + 90 })
      expect(again).toMatchObject({ attempts: 1 })
      expect(await replace({ writtenBy: 'b' })).toBe('replaced')
      expect(await claim({ now: now + 1000, until: now + 1060 })).toEqual([])
      expect(await replace({ writtenBy: 'b', next })).toBe('stale')
    })

    it('R164: a change whose reply was lost is sent again and counts once', async () => {
      const record = aTask()
      for (const _ of [1, 2]) expect(await store.putTask({ record, replaces: false, now })).toBe('stored')
      const [task] = await claim({ owner: 'a' })
      const next = { ...task!, writtenBy: 'next', dueAt: now + 5 }
      for (const _ of [1, 2]) expect(await replace({ writtenBy: 'a', next })).toBe('replaced')
      for (const _ of [1, 2]) expect(await replace({ writtenBy: 'next' })).toBe('replaced')
    })

    it('R170: one that has ended is never claimed', async () => {
      await put({ expiresAt: now + 10, dueAt: now + 5 })
      await put({ id: 'stays', dueAt: now + 5 })
      expect(ids(await claim({ now: now + 10, until: now + 70 }))).toEqual(['stays'])
      const again = { record: aTask({ expiresAt: now + 100 }), replaces: false, now: now + 10 }
      expect(await store.putTask(again)).toBe('stored')
    })

    it('keeps kinds, providers and ids apart, whatever they are called', async () => {
      for (const id of hostileIds) {
        await put({ id, provider: id })
        await put({ id, provider: id, kind: 'revocation' })
        await put({ id })
      }
      for (const provider of hostileIds) {
        expect(ids(await claim({ provider }))).toEqual([provider])
        expect(ids(await claim({ provider, kind: 'revocation' }))).toEqual([provider])
        expect(await claim({ provider, kind: 'expiry_notice' })).toEqual([])
      }
      expect(ids(await claim({ limit: 100 })).sort()).toEqual([...hostileIds].sort())
    })

    it.each([1, 3, 100])(
      'R178: in pages of %i every task of a kind is found, claimed or not',
      async limit => {
        const names = times(7, i => ({ id: `task-${i}`, provider: `provider-${i % 3}` }))
        for (const name of names) await put({ ...name, kind: 'revocation', sealed: 'sealed' })
        await put()
        await put({ kind: 'revocation', id: 'ended', expiresAt: now })
        await claim({ kind: 'revocation', provider: 'provider-1' })
        const found = new Set<string>()
        let cursor: string | undefined
        do {
          const page = await store.listTasks({ kind: 'revocation', cursor, limit, now })
          for (const { id } of page.tasks) found.add(id)
          cursor = page.cursor
        } while (cursor !== undefined)
        expect([...found].sort()).toEqual(names.map(({ id }) => id))
      },
    )
  })
}
