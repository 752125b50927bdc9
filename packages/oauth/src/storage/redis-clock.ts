import type { Redis } from 'ioredis'
import type { RedisConnection } from './redis-connection.ts'

/** How long a comparison of two clocks is trusted, in milliseconds. */
const trustedForMs = 30_000

/** Knows how far the clock of each server is ahead of ours, so that a deadline of ours can be told to it. */
export interface RedisClock {
  /**
   * A moment of `performance.now()` on the clock of the server that holds a key, in milliseconds; never too late, at
   * worst early by the time of one round trip. Rejects with what Redis fails with.
   */
  deadline(key: string, at: number): Promise<number>
  /** Compares anew: the server found a step late that was not. */
  forget(key: string): void
}

export function createRedisClock(connection: Pick<RedisConnection, 'nodeOf' | 'client'>): RedisClock {
  const known = new WeakMap<Redis, { ahead: Promise<number>; since: number }>()
  const watched = new WeakSet<Redis>()

  const compare = (node: Redis): Promise<number> => {
    if (!watched.has(node)) {
      watched.add(node)
      // The next server behind this connection has a clock of its own.
      node.on('close', () => known.delete(node))
    }
    const ahead = node.time().then(([seconds, microseconds]) => {
      const theirs = Number(seconds) * 1_000 + Number(microseconds) / 1_000
      // The answer is older than its arrival by at most a round trip; so this is at most too small.
      return theirs - performance.now()
    })
    const comparison = { ahead, since: performance.now() }
    known.set(node, comparison)
    ahead.catch(() => {
      if (known.get(node) === comparison) known.delete(node)
    })
    return ahead
  }

  return {
    async deadline(key, at) {
      const node = connection.nodeOf(key)
      if (!node) throw new Error('no server is known for the key')
      const comparison = known.get(node)
      const isTrusted = comparison && performance.now() - comparison.since < trustedForMs
      // Timers may be a millisecond early.
      return Math.floor(at - 2 + (await (isTrusted ? comparison.ahead : compare(node))))
    },
    forget(key) {
      const node = connection.nodeOf(key)
      if (node) known.delete(node)
    },
  }
}
