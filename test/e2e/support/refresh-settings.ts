import type { ProviderHost } from '@sallyport/mcp-server'
import { type Clock, createSealer, createSecretRing, type Store, systemRandom } from '@sallyport/oauth'

/** What a process of `refresh-main.ts` is told, in `E2E_REFRESH` as JSON. */
export interface RefreshSettings {
  store: { redisUrl: string } | { directory: string }
  kind: 'oidc' | 'google'
  issuer: string
  apiOrigin: string
  clientId: string
  clientSecret: string
  /** Used by `google()`; `oidc()` finds its own. */
  endpoints: { authorization: string; token: string; jwks: string; issuers: [string] }
}

/** With the lease, before anything is read; before the request is sent; with the reply, before it is written. */
export type StopPlace = 'claimed' | 'sending' | 'replied'

export type RefreshMessage =
  /** How far its clock is ahead of the system's. */
  | { aheadSeconds: number }
  /** Where it stops next. */
  | { stopAt: StopPlace }
  | { goOn: true }
  /** Does what is due without a caller, as the timer of a server would. */
  | { runDue: { id: number } }
  /**
   * `callers` calls for each user, at most `parallel` at once. Defaults 1 and all. `comesBack`: one that the store was
   * too slow for is made again, as clients are told to.
   */
  | {
      call: {
        id: number
        userIds: readonly string[]
        callers?: number
        parallel?: number
        comesBack?: boolean
      }
    }

export interface CallResult {
  tokens: string[]
  /** Names of the errors. */
  errors: string[]
}

export type RefreshAnswer = 'ready' | { stoppedAt: string } | ({ id: number } & CallResult)

/** The same secrets for all processes of a deployment, and for the test. */
export const refreshSecrets: readonly string[] = ['shared-by-all-processes-that-refresh-the-connections']

/** What a server hands to a provider. */
export function createProviderHost(store: Store, clock: Clock): ProviderHost {
  const ring = createSecretRing(refreshSecrets)
  return {
    store,
    tenant: store.tenant,
    sealer: createSealer(ring, systemRandom),
    keyedHash: text => ring.mac('account-id', text).toString('base64url'),
    clock,
    random: systemRandom,
    environment: {},
    externalTokenSeconds: 60 * 86_400,
    emit: () => {},
  }
}
