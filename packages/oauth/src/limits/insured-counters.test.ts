import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { WindowCounter } from '../storage/window-counter.ts'
import { createInsuredCounters } from './insured-counters.ts'

const limit = { windowSeconds: 60 }

describe('createInsuredCounters', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const shared = (add: () => Promise<{ count: number; endsInMs: number }>) => {
    const calls: string[] = []
    const counter: WindowCounter = {
      add: key => {
        calls.push(key)
        return add()
      },
      read: add,
    }
    const time = { nowMs: 0 }
    const onFailure = vi.fn()
    const store = { createWindowCounter: () => counter }
    const make = createInsuredCounters(store, { nowMs: () => time.nowMs, onFailure })
    return { counter: make('token', limit), other: make('register', limit), calls, time, onFailure }
  }

  it('R22: processes on a store that can count are counted together', async () => {
    const { counter } = shared(async () => ({ count: 41, endsInMs: 5 }))
    expect(await counter.add('a')).toEqual({ count: 41, endsInMs: 5 })
  })

  it('R22: a store that cannot count leaves each process its own limits', async () => {
    const counter = createInsuredCounters({})('token', limit)
    await counter.add('a')
    expect((await counter.add('a')).count).toBe(2)
  })

  it('R22: when the store fails, nobody is locked out and nobody is let off: the process counts by itself', async () => {
    const { counter, other, calls, time, onFailure } = shared(() =>
      Promise.reject(new Error('Redis is gone')),
    )
    expect((await counter.add('a')).count).toBe(1)
    expect((await counter.add('a')).count).toBe(2)
    expect((await other.add('a')).count).toBe(1)
    // Asked once, and again after two seconds: a store in trouble is not hammered.
    expect(calls).toHaveLength(1)
    time.nowMs = 2_000
    expect((await counter.add('a')).count).toBe(3)
    expect(calls).toHaveLength(2)
    expect(onFailure).toHaveBeenCalledTimes(2)
  })

  it('R22: a store that hangs costs a request a quarter of a second, once', async () => {
    const { counter, calls } = shared(() => new Promise(() => {}))
    const first = counter.add('a')
    await vi.advanceTimersByTimeAsync(249)
    let isSettled = false
    void first.then(() => {
      isSettled = true
    })
    await vi.advanceTimersByTimeAsync(0)
    expect(isSettled).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect((await first).count).toBe(1)
    expect((await counter.add('a')).count).toBe(2)
    expect(calls).toHaveLength(1)
  })
})
