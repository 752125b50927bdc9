import { performance } from 'node:perf_hooks'
import type { Store } from '../storage/store.ts'
import type { WindowCounter } from '../storage/window-counter.ts'
import type { Limit } from './limit-table.ts'
import { createMemoryCounter } from './memory-counter.ts'

/** How long a request waits for a count, in milliseconds: the step that it is about has its own time. */
const timeoutMs = 250

/** How long the store is not asked after it failed, in milliseconds. */
const pauseMs = 2_000

/**
 * Makes counters in the store where it can count, so that all processes on it count together, and in this process
 * where it cannot. When the store fails or hangs, each process counts by itself until the store is back: limits keep
 * a server available, so they must neither refuse everybody then nor let go of everybody. The step behind them
 * answers 503 by itself.
 *
 * @param options.nowMs a clock that never goes back, in milliseconds
 * @param options.onFailure told that the store could not count, at most every two seconds
 */
export function createInsuredCounters(
  store: Pick<Store, 'createWindowCounter'>,
  {
    nowMs = () => performance.now(),
    onFailure = () => {},
  }: { nowMs?: () => number; onFailure?: () => void } = {},
): (name: string, limit: Pick<Limit, 'windowSeconds'>) => WindowCounter {
  let askAgainAt = Number.NEGATIVE_INFINITY

  const insured = (shared: WindowCounter, windowSeconds: number): WindowCounter => {
    let local: WindowCounter | undefined
    const count = async (step: 'add' | 'read', key: string) => {
      if (nowMs() >= askAgainAt) {
        try {
          return await withinTime(shared[step](key))
        } catch {
          // Many requests may have waited for the same trouble.
          if (nowMs() >= askAgainAt) onFailure()
          askAgainAt = nowMs() + pauseMs
        }
      }
      local ??= createMemoryCounter(windowSeconds)
      return local[step](key)
    }
    return { add: key => count('add', key), read: key => count('read', key) }
  }

  return (name, { windowSeconds }) => {
    const shared = store.createWindowCounter?.({ name, windowSeconds })
    return shared ? insured(shared, windowSeconds) : createMemoryCounter(windowSeconds)
  }
}

async function withinTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no count in time')), timeoutMs)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}
