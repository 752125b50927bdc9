import type { Clock } from '@sallyport/oauth'

/** Keeps us from asking again while a provider is in trouble (R182). */
export interface Pauses {
  /** Seconds until `key` may be tried again; 0 = now. */
  remaining(key: string): number
  /** A try failed: the next one waits, longer each time, or as long as the provider asks. */
  failed(key: string, retryAfterSeconds: number | undefined): void
  succeeded(key: string): void
}

const maxPauseSeconds = 60
const maxKeys = 10_000

/** Creates the pauses of one process: 1 s after the first failure, doubling up to a minute. */
export function createPauses(clock: Clock): Pauses {
  const pauses = new Map<string, { failures: number; until: number }>()
  return {
    remaining: key => Math.max(0, (pauses.get(key)?.until ?? 0) - clock()),
    failed(key, retryAfterSeconds = 0) {
      const failures = (pauses.get(key)?.failures ?? 0) + 1
      const ownPause = Math.min(2 ** (failures - 1), maxPauseSeconds)
      pauses.delete(key)
      pauses.set(key, { failures, until: clock() + Math.max(ownPause, retryAfterSeconds) })
      // Oldest first: forgetting a pause costs one request.
      if (pauses.size > maxKeys) pauses.delete(pauses.keys().next().value!)
    },
    succeeded: key => void pauses.delete(key),
  }
}
