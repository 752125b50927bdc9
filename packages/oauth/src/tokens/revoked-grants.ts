import { StoreUnavailableError } from '../errors.ts'
import type { Clock } from '../runtime.ts'
import type { Revocation, Store } from '../storage/store.ts'

/** The token families whose access tokens must be refused, kept in this process so that looking costs no I/O. */
export interface RevokedGrants {
  has(grantId: string): boolean
  /** Whether every revocation the store knows of has arrived, as far as the feed can tell. */
  isCurrent(): boolean
  /**
   * Becomes current again, or says that it cannot.
   *
   * @throws {StoreUnavailableError} when the feed is silent or the store cannot be read
   */
  catchUp(): Promise<void>
  close(): void
}

/** Follows the revocation feed of the store. `feedSilenceSeconds`: how long it is trusted without a sign of life. */
export function createRevokedGrants(
  store: Pick<Store, 'listRevocations' | 'watchRevocations'>,
  clock: Clock,
  feedSilenceSeconds: number,
): RevokedGrants {
  const endsAt = new Map<string, number>()
  let pruneAtSize = 1_000
  let hasListed = false
  let syncedAt: number | undefined
  let subscribedAt: number | undefined
  let unsubscribe: (() => void) | undefined
  let isClosed = false

  const add = ({ grantId, accessEndsAt }: Revocation) => {
    const now = clock()
    // Its last access token has ended by itself.
    if (accessEndsAt <= now) return
    endsAt.set(grantId, accessEndsAt)
    if (endsAt.size < pruneAtSize) return
    for (const [id, end] of endsAt) if (end <= now) endsAt.delete(id)
    pruneAtSize = Math.max(1_000, endsAt.size * 2)
  }
  const isRecent = (at: number | undefined) => at !== undefined && clock() - at <= feedSilenceSeconds
  const subscribe = () => {
    unsubscribe?.()
    unsubscribe = undefined
    syncedAt = undefined
    subscribedAt = undefined
    unsubscribe = store.watchRevocations({
      onRevoked: add,
      onSynced: () => {
        syncedAt = clock()
      },
    })
    subscribedAt = clock()
  }
  const listMissed = async () => {
    hasListed = false
    // A machine that slept, or a feed that broke: a new subscription shows whether there is a feed. One that is new
    // gets time to come up.
    if (!isRecent(syncedAt) && !isRecent(subscribedAt)) subscribe()
    if (!isRecent(syncedAt)) throw new StoreUnavailableError('the revocation feed is silent')
    // After subscribing, so that no revocation falls between the two.
    for (const revocation of await store.listRevocations({ now: clock() })) add(revocation)
    hasListed = true
  }
  let listing: Promise<void> | undefined

  try {
    subscribe()
  } catch {
    // The first token that is to be verified tries again, and hears of it.
  }
  return {
    has: grantId => endsAt.has(grantId),
    isCurrent: () => hasListed && isRecent(syncedAt),
    catchUp() {
      if (isClosed) return Promise.reject(new StoreUnavailableError('the verifier is closed'))
      listing ??= listMissed().finally(() => {
        listing = undefined
      })
      return listing
    },
    close() {
      isClosed = true
      hasListed = false
      unsubscribe?.()
    },
  }
}
