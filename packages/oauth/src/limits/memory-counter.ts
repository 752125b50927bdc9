import { RateLimiterMemory } from 'rate-limiter-flexible'
import { type WindowCounter, windowCount } from '../storage/window-counter.ts'

/**
 * Counts in this process.
 *
 * @param maxKeys how many keys are held; beyond that the one not seen for longest starts anew, so that a flood from
 *   many addresses costs no more memory and nobody is refused because of it
 */
export function createMemoryCounter(windowSeconds: number, maxKeys = 10_000): WindowCounter {
  const limiter = new RateLimiterMemory({ points: 1, duration: windowSeconds })
  const held = new Set<string>()
  return {
    async add(key) {
      held.delete(key)
      held.add(key)
      if (held.size > maxKeys) {
        const [oldest] = held
        held.delete(oldest!)
        await limiter.delete(oldest!)
      }
      return windowCount(await limiter.penalty(key))
    },
    read: async key => windowCount(await limiter.get(key)),
  }
}
