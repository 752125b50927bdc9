/** How often something happened in a window that began with the first time. */
export interface WindowCount {
  /** 0 when there is no window open. */
  count: number
  /** When the window ends, in milliseconds from now. */
  endsInMs: number
}

/** Counts by key, in windows of one length. */
export interface WindowCounter {
  /** Counts one more, and says how many that makes. */
  add(key: string): Promise<WindowCount>
  /** Says how many there were. */
  read(key: string): Promise<WindowCount>
}

/** What a counter answers, from the result of rate-limiter-flexible; null when it knows nothing of the key. */
export function windowCount(result: { consumedPoints: number; msBeforeNext: number } | null): WindowCount {
  // The library drops what has ended by a timer, so that it may still be there for a moment.
  if (!result || result.msBeforeNext <= 0) return { count: 0, endsInMs: 0 }
  return { count: result.consumedPoints, endsInMs: result.msBeforeNext }
}
