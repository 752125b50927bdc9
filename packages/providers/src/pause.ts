import { ExponentialBackoff, type IBackoff, noJitterGenerator } from 'cockatiel'
import type { ErrorClass } from './upstream-error.ts'

/** Longest pause of our own after a failure that passes: a provider that is back must be noticed within 30 s. */
const maxPassingSeconds = 20

/** The same after a failure that may well not pass by itself. */
const maxOtherSeconds = 60

/**
 * How long to leave a provider alone after `count` failures in a row, in seconds: 1, 2, 4 … or as long as the provider
 * asks, whichever is longer (R182).
 */
export function pauseSeconds(failure: {
  count: number
  errorClass: ErrorClass
  retryAfterSeconds: number | undefined
}): number {
  const { count, errorClass, retryAfterSeconds = 0 } = failure
  const passes = errorClass === 'transient' || errorClass === 'rate_limited'
  const max = passes ? maxPassingSeconds : maxOtherSeconds
  const backoff = new ExponentialBackoff({
    // Exactly one process asks at the end of a pause, so there is nobody to keep apart by chance.
    generator: noJitterGenerator,
    initialDelay: 1000,
    maxDelay: max * 1000,
  })
  let step: IBackoff<unknown> = backoff.next()
  // Beyond ten the longest pause is reached.
  for (let i = 1; i < Math.min(count, 10); i++) step = step.next(undefined)
  return Math.max(Math.ceil(step.duration / 1000), retryAfterSeconds)
}
