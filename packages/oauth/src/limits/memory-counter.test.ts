import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createMemoryCounter } from './memory-counter.ts'

describe('createMemoryCounter', () => {
  beforeEach(() => void vi.useFakeTimers({ now: 1_800_000_000_000 }))
  afterEach(() => void vi.useRealTimers())

  it('R22: a window begins with the first request and ends after its seconds', async () => {
    const counter = createMemoryCounter(60)
    expect(await counter.read('a')).toEqual({ count: 0, endsInMs: 0 })
    expect(await counter.add('a')).toEqual({ count: 1, endsInMs: 60_000 })
    vi.advanceTimersByTime(59_000)
    expect(await counter.add('a')).toEqual({ count: 2, endsInMs: 1_000 })
    expect(await counter.read('a')).toEqual({ count: 2, endsInMs: 1_000 })
    vi.advanceTimersByTime(1_000)
    expect(await counter.read('a')).toEqual({ count: 0, endsInMs: 0 })
    expect(await counter.add('a')).toEqual({ count: 1, endsInMs: 60_000 })
  })

  it('R22: a flood from many addresses takes no more memory than a few, and keeps those that come often', async () => {
    const counter = createMemoryCounter(60, 100)
    const before = vi.getTimerCount()
    for (let i = 0; i < 5_000; i++) {
      await counter.add(`address ${i}`)
      await counter.add('often')
    }
    // One timer a key: that is how the library forgets.
    expect(vi.getTimerCount() - before).toBeLessThanOrEqual(100)
    expect((await counter.read('often')).count).toBe(5_000)
    expect((await counter.read('address 0')).count).toBe(0)
  })
})
