import { LRUCache } from 'lru-cache'

/** How many streams are remembered that have been answered: a batch has several answers. */
const maxAnswered = 256

/** How far the streams of one session are. */
export interface StreamPositions {
  /** Where the last event of a stream stands; 0 when it has none. */
  of(streamId: string): number
  /** Where the next one stands. */
  next(streamId: string, isAnswer: boolean): number
  /** How many streams are remembered. */
  readonly size: number
}

/**
 * Counts the events of each stream. A session has a stream for each call, and may live for weeks: of those that have
 * been answered only the last ones are remembered.
 */
export function createStreamPositions(): StreamPositions {
  const open = new Map<string, number>()
  const answered = new LRUCache<string, number>({ max: maxAnswered })
  const of = (streamId: string) => open.get(streamId) ?? answered.get(streamId) ?? 0
  return {
    of,
    next(streamId, isAnswer) {
      const position = of(streamId) + 1
      if (isAnswer) open.delete(streamId)
      if (isAnswer || answered.has(streamId)) answered.set(streamId, position)
      else open.set(streamId, position)
      return position
    },
    get size() {
      return open.size + answered.size
    },
  }
}
