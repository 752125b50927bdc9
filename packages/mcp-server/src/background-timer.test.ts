import { type SallyportEvent, StoreUnavailableError } from '@sallyport/oauth'
import { describe, expect, it, vi } from 'vitest'
import { createBackgroundTimer } from './background-timer.ts'

function setUp(...workers: ((signal?: AbortSignal) => Promise<void>)[]) {
  const events: SallyportEvent[] = []
  const errors: unknown[] = []
  const timer = createBackgroundTimer({
    workers: [...workers.map(runDue => ({ runDue })), {}],
    random: length => new Uint8Array(length),
    emit: event => void events.push(event),
    onError: error => void errors.push(error),
  })
  return { timer, events, errors }
}

describe('background timer', () => {
  it('runs again and again until it is stopped', async () => {
    vi.useFakeTimers()
    try {
      const work = vi.fn(async () => {})
      const { timer } = setUp(work)
      timer.start()
      timer.start()
      expect(work).not.toHaveBeenCalled()
      await vi.advanceTimersByTimeAsync(60_000)
      const runs = work.mock.calls.length
      expect(runs).toBeGreaterThanOrEqual(3)
      await timer.stop()
      await vi.advanceTimersByTimeAsync(60_000)
      expect(work).toHaveBeenCalledTimes(runs)
    } finally {
      vi.useRealTimers()
    }
  })

  it('what fails keeps nothing else from being done, and is told', async () => {
    const work = vi.fn(async () => {})
    const fault = new Error('a fault')
    const { timer, events, errors } = setUp(
      () => Promise.reject(new StoreUnavailableError('away')),
      () => Promise.reject(fault),
      work,
    )
    await timer.run()
    expect(work).toHaveBeenCalledTimes(1)
    expect(events).toEqual([{ type: 'store_unavailable', step: 'runDue' }])
    expect(errors).toEqual([fault])
  })

  it('stops by waiting for what is under way, so that no reply of a provider is lost', async () => {
    let finish = () => {}
    let wasAborted: boolean | undefined
    const { timer } = setUp(async signal => {
      await new Promise<void>(resolve => {
        finish = resolve
      })
      wasAborted = signal?.aborted
    })
    const running = timer.run()
    let isStopped = false
    const stopped = timer.stop().then(() => {
      isStopped = true
    })
    await Promise.resolve()
    expect(isStopped).toBe(false)
    finish()
    await stopped
    await running
    expect(wasAborted).toBe(true)
  })
})
