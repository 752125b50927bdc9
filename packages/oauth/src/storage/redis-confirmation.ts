import type { EventSink } from '../events.ts'
import { createRedisBarrier, type RedisBarrier, type RedisWaitFor } from './redis-barrier.ts'
import { connectRedis, type RedisConnection, type RedisConnectionOptions } from './redis-connection.ts'
import type { RedisTarget } from './redis-url.ts'

/** How writes are confirmed. */
export interface Confirmation {
  /** Of its own: it is blocked while it waits. */
  connection: RedisConnection
  barrier: RedisBarrier
  /** A key in the slot of another. */
  keyFor(key: string): string
  /** Told when a step counts although nothing has confirmed it in time. */
  onUnconfirmed(): void
}

/** How long Redis may wait, as a part of what a step may take: steps behind it still get their time. */
const waitShare = 0.48

/** How often it is told that writes are not confirmed, in milliseconds. */
const unconfirmedEveryMs = 60_000

/** @param options `stepTimeoutMs`: how long a step may take, all its attempts together */
export function createConfirmation(
  target: RedisTarget,
  waitFor: RedisWaitFor,
  options: RedisConnectionOptions & {
    stepTimeoutMs: number
    keyFor: Confirmation['keyFor']
    onEvent: EventSink | undefined
  },
): Confirmation {
  const { stepTimeoutMs, keyFor, onEvent, ...connectionOptions } = options
  const waitMs = Math.floor(stepTimeoutMs * waitShare)
  const commandTimeoutMs = connectionOptions.commandTimeoutMs + waitMs
  let toldAt = Number.NEGATIVE_INFINITY
  return {
    connection: connectRedis(target, { ...connectionOptions, commandTimeoutMs }),
    barrier: createRedisBarrier(waitFor, waitMs),
    keyFor,
    onUnconfirmed() {
      if (performance.now() - toldAt < unconfirmedEveryMs) return
      toldAt = performance.now()
      onEvent?.({ type: 'store_write_unconfirmed', kind: waitFor })
    },
  }
}
