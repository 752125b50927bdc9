import { LRUCache } from 'lru-cache'
import type { EventSink, RecordedEvent, RecordedEventSink } from '../events.ts'

/** From when on something is told. */
export interface SuspicionThresholds {
  /** How far back is counted, in seconds. Default 60. */
  windowSeconds: number
  /** Failed authentications of one client, or from one source. Default 10. */
  failedAuthentications: number
  /** Refreshes of one session. Default 10: one in 15 minutes is what the default lifetime makes. */
  refreshes: number
}

/** Clients, sources and sessions that are looked at; what happened to the others longest ago is forgotten. */
const maxWatched = 10_000

/**
 * Looks for what may be an attack among the events, and tells it as `suspicious_activity`: to wake somebody, nothing
 * is refused because of it. It knows what its own process has seen since its start.
 *
 * @param emit told what was found
 */
export function createSuspicionSink(
  emit: EventSink,
  thresholds: Partial<SuspicionThresholds> = {},
): RecordedEventSink {
  const { windowSeconds = 60, failedAuthentications = 10, refreshes = 10 } = thresholds
  const times = new LRUCache<string, number[]>({ max: maxWatched })
  const lastRefreshes = new LRUCache<string, { sourceHash: string; at: number; toldAt: number }>({
    max: maxWatched,
  })

  /** Whether this makes `threshold` of them within the window; then counting starts anew, so that it is told once. */
  const isMany = (key: string, threshold: number, at: number): boolean => {
    const recent = [...(times.get(key) ?? []).filter(time => time > at - windowSeconds), at]
    const isReached = recent.length >= threshold
    times.set(key, isReached ? [] : recent)
    return isReached
  }

  const watchRefresh = (event: RecordedEvent & { grantId: string; clientIdHash: string }) => {
    const { grantId, clientIdHash, sourceHash, at } = event
    if (isMany(`refresh ${grantId}`, refreshes, at)) {
      emit({ type: 'suspicious_activity', kind: 'unusual_refresh_rate', grantId, clientIdHash })
    }
    if (sourceHash === undefined) return
    const last = lastRefreshes.get(grantId)
    const isElsewhere = last && last.sourceHash !== sourceHash && at - last.at < windowSeconds
    const isNew = isElsewhere && at - last.toldAt >= windowSeconds
    const toldAt = isNew ? at : (last?.toldAt ?? Number.NEGATIVE_INFINITY)
    lastRefreshes.set(grantId, { sourceHash, at, toldAt })
    if (isNew) emit({ type: 'suspicious_activity', kind: 'refresh_from_two_sources', grantId, clientIdHash })
  }

  return event => {
    switch (event.type) {
      case 'client_authentication_failed': {
        const { clientIdHash, sourceHash, at } = event
        const kind = 'many_failed_client_authentications'
        if (isMany(`client ${clientIdHash}`, failedAuthentications, at)) {
          emit({ type: 'suspicious_activity', kind, clientIdHash })
        }
        // Without a client: they were many. The source is in the stamp.
        if (sourceHash !== undefined && isMany(`source ${sourceHash}`, failedAuthentications, at)) {
          emit({ type: 'suspicious_activity', kind })
        }
        return
      }
      case 'token_rotated':
      case 'token_replayed_in_grace':
        return watchRefresh(event)
      case 'refresh_token_reused':
      case 'code_replayed': {
        const { type: kind, grantId, clientIdHash } = event
        return emit({ type: 'suspicious_activity', kind, grantId, clientIdHash })
      }
    }
  }
}
