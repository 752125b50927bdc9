import { expect, it } from 'vitest'
import { pauseSeconds } from './pause.ts'

const pauses = (errorClass: 'transient' | 'misconfigured', counts: number[]) =>
  counts.map(count => pauseSeconds({ count, errorClass, retryAfterSeconds: undefined }))

it('R182: each failure in a row is waited for longer, up to 20 s when it passes by itself', () => {
  expect(pauses('transient', [1, 2, 3, 4, 5, 6, 7, 1000])).toEqual([1, 2, 4, 8, 16, 20, 20, 20])
})

it('R182: and up to a minute when it does not', () => {
  expect(pauses('misconfigured', [1, 6, 7, 8, 1000])).toEqual([1, 32, 60, 60, 60])
})

it('R182: a provider that asks for a longer pause gets it, not a shorter one', () => {
  const asked = (retryAfterSeconds: number) =>
    pauseSeconds({ count: 3, errorClass: 'rate_limited', retryAfterSeconds })
  expect([asked(120), asked(1)]).toEqual([120, 4])
})
