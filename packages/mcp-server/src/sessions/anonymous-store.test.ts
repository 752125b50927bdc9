import { createMemoryStore } from '@sallyport/oauth'
import { expect, it } from 'vitest'
import { anonymousStore } from './anonymous-store.ts'

function setUp() {
  const time = { now: 1_800_000_000 }
  const told: number[] = []
  const store = createMemoryStore()
  const bounded = anonymousStore(store, {
    limits: { events: 1_000, lasting: 1_000 },
    clock: () => time.now,
    onLimit: () => told.push(time.now),
  })
  const expiring = () => ({ expiresAt: time.now + 9_000, now: time.now })
  const append = (stream: string) =>
    bounded.appendEvent({ stream, position: 1, sealed: 'x'.repeat(300), limit: 9, ...expiring() })
  const follow = (session: string) =>
    bounded.putSubscription({ session, idHash: 'a', sealed: 'x'.repeat(300), limit: 9, ...expiring() })
  const kept = async (stream: string) =>
    (await store.readEvents({ stream, after: 0, now: time.now })).length === 1
  return { time, told, bounded, expiring, append, follow, kept }
}

it('R22: events of those who are not signed in are kept up to their share of each ten minutes', async () => {
  const { time, told, append, kept } = setUp()
  for (const stream of ['one', 'two', 'three', 'four']) await append(stream)
  expect(await Promise.all(['one', 'two', 'three', 'four'].map(kept))).toEqual([true, true, false, false])
  expect(told).toEqual([time.now])
  time.now += 600
  await append('five')
  expect([await kept('five'), told.length]).toEqual([true, 1])
})

it('R22: so is what lasts as long as their sessions', async () => {
  const { bounded, expiring, follow, time } = setUp()
  expect(await follow('one')).toBe('stored')
  for (const idHash of ['a', 'b', 'c']) await bounded.putEndedSession({ idHash, ...expiring() })
  const ended = ['a', 'b', 'c'].map(idHash => bounded.isSessionEnded({ idHash, now: time.now }))
  expect(await Promise.all(ended)).toEqual([true, true, false])
  expect(await follow('two')).toBe('full')
})
