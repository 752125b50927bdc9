import { inspect } from 'node:util'
import type { ConnectionStatus } from '@sallyport/oauth'
import { ConnectionRequiredError, type ExternalToken, ProviderUnavailableError } from '../provider.ts'
import { fakeStatus, type HeldToken } from './fake-status.ts'

/**
 * What happens at one use of a connection:
 * - `ok`: it works
 * - `expired`: the access token has ended; it is refreshed, and where there is nothing to refresh with, that is `dead`
 * - `dead`: the provider has ended the connection; it stays so until the user connects again
 * - `not_connected`: there is none, until the user connects
 * - `missing_scope`: the user has taken back what the tool needs, until they connect again
 * - `unavailable`, `rate_limited`: not now, in 30 seconds unless it says otherwise; the use after it works
 */
export type ProviderFault =
  | 'ok'
  | 'expired'
  | 'dead'
  | 'not_connected'
  | 'missing_scope'
  | 'unavailable'
  | 'rate_limited'
  | { readonly fault: 'unavailable' | 'rate_limited'; readonly retryAfterSeconds: number }

/**
 * The connections of a fake provider, with the access tokens it has issued. Times are seconds since the epoch; `userId`
 * stands for one account of a user, which has the name of its user unless the user has several.
 */
export interface FakeConnections {
  /** User id → provider scopes granted. */
  readonly granted: Map<string, readonly string[]>
  /** Values of all access tokens issued so far, in order. */
  readonly tokens: readonly string[]
  script(...faults: readonly ProviderFault[]): void
  scriptFor(userId: string, ...faults: readonly ProviderFault[]): void
  connect(userId: string, scopes: readonly string[], now: number): void
  isConnected(userId: string, scopes: readonly string[]): boolean
  /**
   * The token for one use, which meets what is scripted. Throws as `ConnectedProvider.token` does.
   *
   * @param owner whose account it is. Default: it has the name of its user
   */
  use(userId: string, scopes: readonly string[], now: number, owner?: string): ExternalToken
  /** The token that replaces one the API rejected, within the same use. Throws as `use`. */
  renew(userId: string, scopes: readonly string[], now: number): ExternalToken
  /** How a connection does, for who needs these scopes. No use: it meets nothing. */
  status(userId: string, scopes: readonly string[], now: number): ConnectionStatus
  /** Refreshes a token that will not be fresh any more by then; undefined when there is no connection. */
  keepFresh(userId: string, aheadSeconds: number, now: number): ConnectionStatus | undefined
}

/** How long before its end an access token is renewed: as real ones are, at most five minutes. */
const marginOf = (lifeSeconds: number) => Math.min(300, lifeSeconds / 10)

/** @param options.accessTokenSeconds 0: tokens do not end by themselves */
export function createFakeConnections(options: {
  id: string
  accessTokenSeconds: number
  refreshes: boolean
}): FakeConnections {
  const { id, accessTokenSeconds: life, refreshes } = options
  const granted = new Map<string, readonly string[]>()
  const dead = new Map<string, 'revoked' | 'expired'>()
  const tokens: string[] = []
  const held = new Map<string, HeldToken>()
  const failures = new Map<string, { fault: 'unavailable' | 'rate_limited'; at: number; endsAt: number }>()
  const forAll: ProviderFault[] = []
  const forOne = new Map<string, ProviderFault[]>()

  const scopesOf = (userId: string) => granted.get(userId) ?? []
  const covers = (userId: string, scopes: readonly string[]) =>
    scopes.every(scope => scopesOf(userId).includes(scope))

  function issue(userId: string, now: number) {
    const value = `external-token-of-${id}-${tokens.length + 1}`
    const token = { value, issuedAt: now, expiresAt: life === 0 ? 0 : now + life }
    tokens.push(token.value)
    held.set(userId, token)
    return token
  }
  function end(userId: string, reason: 'revoked' | 'expired'): void {
    granted.delete(userId)
    dead.set(userId, reason)
  }
  function refresh(userId: string, now: number): void {
    if (refreshes) issue(userId, now)
    else end(userId, 'expired')
  }
  function isStale(userId: string, now: number): boolean {
    const { expiresAt = 0 } = held.get(userId) ?? {}
    return granted.has(userId) && expiresAt !== 0 && expiresAt - now <= marginOf(life)
  }
  function meet(fault: ProviderFault, userId: string, scopes: readonly string[], now: number): void {
    if (fault === 'ok') return
    if (fault === 'expired') refresh(userId, now)
    else if (fault === 'dead') end(userId, 'revoked')
    else if (fault === 'not_connected') {
      granted.delete(userId)
      dead.delete(userId)
    } else if (fault === 'missing_scope') {
      if (scopes.length === 0) throw new Error(`The tool names no scope of "${id}" that could be missing.`)
      const left = scopesOf(userId).filter(scope => !scopes.includes(scope))
      granted.set(userId, left)
    } else {
      const { fault: kind, retryAfterSeconds } =
        typeof fault === 'string' ? { fault, retryAfterSeconds: 30 } : fault
      failures.set(userId, { fault: kind, at: now, endsAt: now + retryAfterSeconds })
      throw new ProviderUnavailableError(id, { retryAfterSeconds })
    }
  }
  /** As the real ones: refused when it is not there or not enough. */
  function usable(userId: string, scopes: readonly string[], now: number): ExternalToken {
    if (!granted.has(userId)) {
      throw new ConnectionRequiredError(id, dead.has(userId) ? 'dead' : 'not_connected', scopes)
    }
    if (!covers(userId, scopes)) throw new ConnectionRequiredError(id, 'missing_scope', scopes)
    failures.delete(userId)
    const { value, expiresAt } = held.get(userId) ?? issue(userId, now)
    return externalToken({ value, expiresAt, scopes: scopesOf(userId) })
  }
  function status(userId: string, scopes: readonly string[], now: number): ConnectionStatus {
    return fakeStatus(
      {
        userId,
        provider: id,
        granted: granted.get(userId),
        endReason: dead.get(userId),
        token: held.get(userId),
        failure: failures.get(userId),
        refreshes,
      },
      scopes,
      now,
    )
  }

  return {
    granted,
    tokens,
    script: (...faults) => void forAll.push(...faults),
    scriptFor(userId, ...faults) {
      forOne.set(userId, [...(forOne.get(userId) ?? []), ...faults])
    },
    connect(userId, scopes, now) {
      dead.delete(userId)
      failures.delete(userId)
      granted.set(userId, [...new Set([...scopesOf(userId), ...scopes])])
      issue(userId, now)
    },
    isConnected: (userId, scopes) => granted.has(userId) && covers(userId, scopes),
    use(userId, scopes, now, owner = userId) {
      meet(forOne.get(owner)?.shift() ?? forAll.shift() ?? 'ok', userId, scopes, now)
      if (isStale(userId, now)) refresh(userId, now)
      return usable(userId, scopes, now)
    },
    renew(userId, scopes, now) {
      if (granted.has(userId)) refresh(userId, now)
      return usable(userId, scopes, now)
    },
    status,
    keepFresh(userId, aheadSeconds, now) {
      // Nothing to refresh with is no reason to end what still works.
      if (refreshes && isStale(userId, now + aheadSeconds)) issue(userId, now)
      return granted.has(userId) || dead.has(userId) ? status(userId, [], now) : undefined
    },
  }
}

/** A token that shows itself only to who reads `value`, as that of a real provider (R192). */
function externalToken({ value, ...shown }: ExternalToken): ExternalToken {
  const redacted = '[external token]'
  return Object.defineProperties({ ...shown } as ExternalToken, {
    value: { get: () => value },
    toJSON: { value: () => ({ value: redacted, ...shown }) },
    toString: { value: () => redacted },
    [inspect.custom]: { value: () => redacted },
  })
}
