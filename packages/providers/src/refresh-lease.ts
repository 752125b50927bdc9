import type { ProviderHost } from '@sallyport/mcp-server'
import { type ConnectionKey, StoreUnavailableError } from '@sallyport/oauth'
import { base64url } from 'jose'

/** The right to refresh one connection, among all processes on the store. */
export interface RefreshLease {
  /** The process before us never gave it back: it may have used up the refresh token. */
  readonly isTakenOver: boolean
  /** Whether a request that begins now ends within the lease. Not so after a process was frozen. */
  canStillSend(): boolean
  /** Gives it back. Not doing so says that the request may have been sent and its reply is lost. */
  release(): Promise<void>
}

export type RefreshClaim =
  | { outcome: 'claimed'; lease: RefreshLease }
  /** Somebody else refreshes, or did and was never heard of again. */
  | { outcome: 'held' | 'abandoned' }

/** How long one process may take for a refresh, in seconds. */
export const leaseSeconds = 30

/** Most time a request to the provider takes, with reading its discovery document, in seconds. */
const requestSeconds = 15

/** Claims the lease of a connection. `takesOver`: also from a process that was never heard of again. */
export async function claimRefresh(
  { store, clock, random }: Pick<ProviderHost, 'store' | 'clock' | 'random'>,
  { userId, provider, account }: ConnectionKey,
  { takesOver }: { takesOver: boolean },
): Promise<RefreshClaim> {
  const key = {
    kind: 'connection_refresh' as const,
    id: JSON.stringify([userId, provider, account]),
    owner: base64url.encode(random(16)),
  }
  const now = clock()
  const endsAt = now + leaseSeconds
  const claim = await store.claimLease({ ...key, endsAt, takesOver, now })
  if (claim.outcome !== 'claimed') return { outcome: claim.outcome }
  return {
    outcome: 'claimed',
    lease: {
      isTakenOver: claim.isTakenOver,
      canStillSend: () => clock() + requestSeconds <= endsAt,
      async release() {
        try {
          await store.releaseLease({ ...key, now: clock() })
        } catch (error) {
          // It ends by itself.
          if (!(error instanceof StoreUnavailableError)) throw error
        }
      },
    },
  }
}
