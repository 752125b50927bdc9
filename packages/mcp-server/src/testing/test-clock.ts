/** A clock that stands still until a test moves it. Seconds since the epoch. */
export interface TestClock {
  (): number
  now: number
  /** Lets this many seconds pass at once. */
  advance(seconds: number): void
}

/** Creates one; it starts in January 2027 unless `now`, seconds since the epoch, says otherwise. */
export function createTestClock(now = 1_800_000_000): TestClock {
  const clock: TestClock = Object.assign(() => clock.now, {
    now,
    advance(seconds: number) {
      clock.now += seconds
    },
  })
  return clock
}
