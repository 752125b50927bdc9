import { OAuthError } from '../errors.ts'
import type { EventSink } from '../events.ts'
import type { SecretRing } from '../keys/secret-ring.ts'
import { sha256 } from '../protocol/hash.ts'
import type { Store } from '../storage/store.ts'
import type { WindowCount, WindowCounter } from '../storage/window-counter.ts'
import { createInsuredCounters } from './insured-counters.ts'
import { type LimitName, limitTable } from './limit-table.ts'
import { sourceOf } from './source-address.ts'

/** Names of limits on what one source may do. */
export type SourceLimit = Exclude<LimitName, 'client' | 'user' | 'connect_user'>

/**
 * What a request may count against. Each method counts one more, and refuses what is too much with 429
 * `temporarily_unavailable` and `Retry-After`: clients keep their tokens and registrations after that code, and start
 * over after most others (CLIENTS.md).
 */
export interface Limits {
  /** Keyed hash of where the request comes from; undefined when the host does not tell, and no source is limited then. */
  readonly sourceHash: string | undefined
  /** The same limits for a request of that peer. */
  from(remoteAddress: string | undefined): Limits
  /** @throws {OAuthError} `temporarily_unavailable` (429) */
  countSource(limit: SourceLimit): Promise<void>
  /**
   * Only for clients that have authenticated: anybody can claim a client id.
   *
   * @throws {OAuthError} `temporarily_unavailable` (429)
   */
  countClient(clientId: string): Promise<void>
  /** @throws {OAuthError} `temporarily_unavailable` (429) */
  countUser(limit: 'user' | 'connect_user', userId: string): Promise<void>
  /**
   * Refuses to look at another secret after too many wrong ones from the same source (R88).
   *
   * @throws {OAuthError} `temporarily_unavailable` (429)
   */
  assertMayAuthenticate(clientId: string): Promise<void>
  /**
   * Counts a wrong secret.
   *
   * @throws {OAuthError} `temporarily_unavailable` (429)
   */
  countFailedAuthentication(clientId: string): Promise<void>
}

/**
 * Creates the limits.
 *
 * @param options.factor on all of them (`OAUTH_RATE_LIMIT`); 0 turns them off
 */
export function createLimits({
  factor,
  store,
  secrets,
  emit,
}: {
  factor: number
  store: Pick<Store, 'createWindowCounter'>
  secrets: Pick<SecretRing, 'mac'>
  emit: EventSink
}): Limits {
  const counterIn = createInsuredCounters(store, {
    onFailure: () => emit({ type: 'store_unavailable', step: 'rate limit' }),
  })
  const counters = new Map<LimitName, WindowCounter>()
  const counter = (name: LimitName): WindowCounter => {
    const made = counters.get(name) ?? counterIn(name, limitTable[name])
    counters.set(name, made)
    return made
  }
  const pointsOf = (name: LimitName) => Math.max(1, Math.round(limitTable[name].points * factor))
  // One event for each time a limit is reached, not for each request after: a flood must not flood the log as well.
  const tell = (name: LimitName, who: { clientIdHash?: string; userId?: string }) =>
    emit({ type: 'limit_hit', limit: name, by: limitTable[name].by, ...who })

  const count = async (name: LimitName, key: string, who: { clientIdHash?: string; userId?: string }) => {
    if (factor === 0) return
    const counted = await counter(name).add(key)
    if (counted.count <= pointsOf(name)) return
    if (counted.count === pointsOf(name) + 1) tell(name, who)
    throw tooMany(counted)
  }

  const forSource = (sourceHash: string | undefined): Limits => {
    // Addresses are few enough to try them all, so that a plain hash would hide nothing.
    const from: Limits['from'] = remoteAddress => {
      const source = sourceOf(remoteAddress)
      return forSource(source && secrets.mac('source-address', source).toString('base64url'))
    }
    const authentications = (clientId: string): [LimitName, string][] => [
      ['client_authentication', `${sourceHash}.${sha256(clientId)}`],
      ['client_authentications', `${sourceHash}`],
    ]
    const isOff = factor === 0 || sourceHash === undefined
    return {
      sourceHash,
      from,
      countSource: async name => (sourceHash === undefined ? undefined : count(name, sourceHash, {})),
      async countClient(clientId) {
        const clientIdHash = sha256(clientId)
        await count('client', clientIdHash, { clientIdHash })
      },
      countUser: (name, userId) => count(name, userId, { userId }),
      async assertMayAuthenticate(clientId) {
        if (isOff) return
        const counts = await Promise.all(
          authentications(clientId).map(async ([name, key]) => ({
            name,
            counted: await counter(name).read(key),
          })),
        )
        const full = counts.find(({ name, counted }) => counted.count >= pointsOf(name))
        if (full) throw tooMany(full.counted)
      },
      async countFailedAuthentication(clientId) {
        if (isOff) return
        const clientIdHash = sha256(clientId)
        await Promise.all(
          authentications(clientId).map(async ([name, key]) => {
            const counted = await counter(name).add(key)
            if (counted.count === pointsOf(name)) tell(name, { clientIdHash })
            // Sent at the same time as many others, and counted after them.
            if (counted.count > pointsOf(name)) throw tooMany(counted)
          }),
        )
      },
    }
  }
  return forSource(undefined)
}

function tooMany({ endsInMs }: WindowCount): OAuthError {
  return new OAuthError('temporarily_unavailable', 'Too many requests. Try again later.', {
    status: 429,
    headers: { 'Retry-After': String(Math.max(1, Math.ceil(endsInMs / 1_000))) },
  })
}
