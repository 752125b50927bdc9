import { RateLimiterRedis } from 'rate-limiter-flexible'
import type { RedisConnection } from './redis-connection.ts'
import { type WindowCounter, windowCount } from './window-counter.ts'

/**
 * Counts in Redis, for all processes on it. One attempt and no operation id, unlike the steps of the store: a count
 * too many or too few is no harm, and one that fails is made elsewhere.
 *
 * @param keyOf the Redis key of what is counted
 */
export function createRedisCounter(
  { client }: Pick<RedisConnection, 'client'>,
  keyOf: (id: string) => string,
  windowSeconds: number,
): WindowCounter {
  const limiter = new RateLimiterRedis({
    storeClient: client,
    points: 1,
    duration: windowSeconds,
    keyPrefix: '',
    rejectIfRedisNotReady: true,
  })
  return {
    add: async id => windowCount(await limiter.penalty(keyOf(id))),
    read: async id => windowCount(await limiter.get(keyOf(id))),
  }
}
