import { expect, it } from 'vitest'
import { isAbandoned, leaseEnd, lookEveryMs } from './task-run.ts'
import type { TaskState } from './task-state.ts'

it.each([1, 1_000, 10_000, 60_000])(
  'a task that is at work is taken for dead by nobody, if clients are asked to look every %i ms',
  pollIntervalMs => {
    const lookSeconds = lookEveryMs(pollIntervalMs) / 1_000
    expect(lookSeconds).toBeLessThanOrEqual(pollIntervalMs / 1_000)
    const state = { status: 'working', leaseEndsAt: leaseEnd(0) } as TaskState
    // One look may find that there is time left, and the next one comes late.
    expect(isAbandoned(state, 2 * lookSeconds + 5)).toBe(false)
    expect(leaseEnd(0)).toBeGreaterThan(2 * lookSeconds)
  },
)
