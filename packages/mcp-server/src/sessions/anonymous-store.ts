import type { Clock, SessionStore } from '@sallyport/oauth'

/** What may be kept for callers who are not signed in, by one process and in one window, in characters. */
export interface AnonymousLimits {
  /** Events of streams, which end after ten minutes. Default 268435456. */
  events: number
  /** What lasts as long as a session: which resources it follows, and that it has ended. Default 1048576. */
  lasting: number
}

const defaults: AnonymousLimits = { events: 268_435_456, lasting: 1_048_576 }

const windowSeconds = 600

/** What a record is taken to need beside what is sealed in it. */
const recordSize = 200

/**
 * The same store for sessions of callers who are not signed in. Anybody can open any number of those, one after the other,
 * and each has something kept: together they get a share, so that they do not fill the store, without which nobody could
 * sign in (R22). Behind it nothing is lost but that a broken stream can be taken up again.
 *
 * @param onLimit told once in each window
 */
export function anonymousStore(
  store: SessionStore,
  options: { limits?: Partial<AnonymousLimits>; clock: Clock; onLimit: () => void },
): SessionStore {
  const { clock, onLimit } = options
  const limits = { ...defaults, ...options.limits }
  let endsAt = 0
  let used = { events: 0, lasting: 0 }
  let isTold = false

  const takes = (kind: keyof AnonymousLimits, size: number): boolean => {
    const now = clock()
    if (now >= endsAt) {
      endsAt = now + windowSeconds
      used = { events: 0, lasting: 0 }
      isTold = false
    }
    if (used[kind] + size <= limits[kind]) {
      used[kind] += size
      return true
    }
    if (!isTold) onLimit()
    isTold = true
    return false
  }

  return {
    isSessionEnded: step => store.isSessionEnded(step),
    readEvents: step => store.readEvents(step),
    deleteSubscription: step => store.deleteSubscription(step),
    listSubscriptions: step => store.listSubscriptions(step),
    async appendEvent(step) {
      if (takes('events', step.sealed.length + recordSize)) await store.appendEvent(step)
    },
    async putEndedSession(step) {
      if (takes('lasting', recordSize)) await store.putEndedSession(step)
    },
    async putSubscription(step) {
      return takes('lasting', step.sealed.length + recordSize) ? store.putSubscription(step) : 'full'
    },
  }
}
