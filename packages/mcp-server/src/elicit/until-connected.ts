import { setTimeout as pause } from 'node:timers/promises'
import type { ConnectionNeed } from './exchange.ts'

/**
 * Waits until the account is connected, in whatever process that happens; false when it took too long, or `signal` aborts.
 *
 * @param known of one more account: those there were before
 */
export async function untilConnected(
  need: Pick<ConnectionNeed, 'isConnected'>,
  known: readonly string[] | undefined,
  { pollMs, timeoutMs, signal }: { pollMs: number; timeoutMs: number; signal: AbortSignal },
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!signal.aborted) {
    if (await need.isConnected(known)) return true
    if (performance.now() + pollMs > deadline) return false
    await pause(pollMs, undefined, { signal, ref: false }).catch(() => {})
  }
  return false
}
