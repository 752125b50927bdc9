import type { ProviderHost } from '@sallyport/mcp-server'
import { type Circuit as CircuitRecord, StoreUnavailableError } from '@sallyport/oauth'
import { ConsecutiveBreaker } from 'cockatiel'
import { base64url } from 'jose'
import { pauseSeconds } from './pause.ts'
import type { ErrorClass } from './upstream-error.ts'

/**
 * Circuit breaker of one provider client, shared by all processes on the store (R182). All of it throws
 * `StoreUnavailableError` but what is told after an answer: that is lost then, and costs a request.
 */
export interface Circuit {
  /** Seconds for which nobody should ask the provider; 0 = it may be asked. */
  blockedSeconds(): Promise<number>
  /** Asked right before a request: 0 admits it, else seconds to wait. Of all processes, one probes an open circuit. */
  admit(): Promise<number>
  /** The provider answered, whatever it said. */
  answered(): Promise<void>
  /** The provider did not answer as it should. */
  failed(failure: { errorClass: ErrorClass; retryAfterSeconds: number | undefined }): Promise<void>
}

/** Failures in a row, of any users, that open it. */
const threshold = 5

/** How long one process may take to probe, in seconds: longer than a request to the provider. */
const probeSeconds = 20

/** Longest time the first `Retry-After` closes a provider for everybody; a probe that is told the same is believed. */
const firstRetryAfterSeconds = 60

/** How long a process believes what it read, in seconds. */
const believedSeconds = 5

const forgottenSeconds = 3600
const maxRounds = 5

/** Creates the circuit of a provider client. `id` names both. */
export function createCircuit(
  { store, clock, random, emit }: Pick<ProviderHost, 'store' | 'clock' | 'random' | 'emit'>,
  { id, provider }: { id: string; provider: string },
): Circuit {
  /** What this process read, and until when it believes it. */
  let open = { until: 0, believedUntil: 0 }
  let isClean = true

  const find = async (): Promise<CircuitRecord> => {
    const found = (await store.findCircuit({ id, now: clock() })) ?? {
      version: 1 as const,
      id,
      generation: 0,
      writtenBy: '',
      state: 'closed' as const,
      failures: 0,
      openings: 0,
      until: 0,
      expiresAt: 0,
    }
    isClean = found.state === 'closed' && found.failures === 0
    return found
  }

  type Change = Pick<CircuitRecord, 'state' | 'failures' | 'openings' | 'until'>
  const replace = ({ generation }: CircuitRecord, change: Change) => {
    const now = clock()
    const writtenBy = base64url.encode(random(16))
    const expiresAt = Math.max(now, change.until) + forgottenSeconds
    return store.replaceCircuit({
      record: { version: 1, id, writtenBy, expiresAt, ...change },
      generation,
      now,
    })
  }

  function waitSeconds({ state, until }: CircuitRecord): number {
    const now = clock()
    if (state === 'closed' || until <= now) return 0
    // A probe is under way and will be known soon.
    if (state === 'half_open') return 1
    open = { until, believedUntil: Math.min(until, now + believedSeconds) }
    return until - now
  }

  /** Tells what came of a request. Not knowing it must not cost what the request brought. */
  async function tell(change: (before: CircuitRecord) => [Change, told: () => void] | undefined) {
    try {
      for (let round = 1; round <= maxRounds; round++) {
        const before = await find()
        const next = change(before)
        if (!next) return
        if ((await replace(before, next[0])) === 'replaced') return next[1]()
      }
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error
    }
  }

  return {
    async blockedSeconds() {
      const now = clock()
      return now < open.believedUntil ? open.until - now : waitSeconds(await find())
    },
    async admit() {
      for (let round = 1; round <= maxRounds; round++) {
        const before = await find()
        const wait = waitSeconds(before)
        if (wait > 0 || before.state === 'closed') return wait
        const until = clock() + probeSeconds
        if ((await replace(before, { ...changeable(before), state: 'half_open', until })) === 'replaced')
          return 0
      }
      return 1
    },
    async answered() {
      if (isClean) return
      await tell(before => {
        if (before.state === 'closed' && before.failures === 0) return undefined
        return [
          { state: 'closed', failures: 0, openings: 0, until: 0 },
          () => {
            open = { until: 0, believedUntil: 0 }
            isClean = true
            if (before.state !== 'closed') emit({ type: 'circuit_closed', provider })
          },
        ]
      })
    },
    async failed({ errorClass, retryAfterSeconds }) {
      await tell(before => {
        const now = clock()
        // Requests that were under way when it opened say nothing new.
        if (before.state === 'open' && before.until > now) return undefined
        const breaker = new ConsecutiveBreaker(threshold)
        breaker.state = before.failures
        const trips = breaker.failure()
        // RFC 9110 §10.2.3: with 503 it speaks for the whole service; with 429 it may mean one user only.
        const asksForPause = errorClass === 'transient' && retryAfterSeconds !== undefined
        if (before.state === 'closed' && !trips && !asksForPause) {
          return [{ ...changeable(before), failures: breaker.state }, () => {}]
        }
        const openings = before.openings + 1
        const asked =
          openings === 1 ? Math.min(retryAfterSeconds ?? 0, firstRetryAfterSeconds) : retryAfterSeconds
        const until = now + pauseSeconds({ count: openings, errorClass, retryAfterSeconds: asked })
        return [
          { state: 'open', failures: breaker.state, openings, until },
          () => {
            if (before.state === 'closed')
              emit({ type: 'circuit_opened', provider, errorClass, nextAttemptAt: until })
          },
        ]
      })
      isClean = false
    },
  }
}

function changeable({ state, failures, openings, until }: CircuitRecord) {
  return { state, failures, openings, until }
}
