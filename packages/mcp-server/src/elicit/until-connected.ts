import { setTimeout as pause } from 'node:timers/promises'
import type { ConnectionNeed } from './exchange.ts'

/** Waits until the account is connected, in whatever process that happens; false when it took too long, or `signal` aborts. */
export async function untilConnected(
  need: Pick<ConnectionNeed, 'isConnected'>,
  { pollMs, timeoutMs, signal }: { pollMs: number; timeoutMs: number; signal: AbortSignal },
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!signal.aborted) {
    if (await need.isConnected()) return true
    if (performance.now() + pollMs > deadline) return false
    await pause(pollMs, undefined, { signal, ref: false }).catch(() => {})
  }
  return false
}
