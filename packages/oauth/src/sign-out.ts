import type { Clock } from './runtime.ts'
import type { UserStore } from './storage/store.ts'

/** How long a user may look at their account before they sign in again, in seconds. Not renewed. */
export const accountSeconds = 900

/**
 * Ends what users have open in browsers here: sessions of the account page, which lie in cookies and nowhere else. Part
 * of whatever ends all sessions of a user, and before them, so that no new one slips through.
 *
 * @param userId whose; undefined: everybody's
 * @param before what began later than this goes on, in seconds since the epoch. Default: now
 * @throws {StoreUnavailableError}
 */
export async function signOutBrowsers(
  { store, clock }: { store: Pick<UserStore, 'putSignOut'>; clock: Clock },
  userId: string | undefined,
  before: number = clock(),
): Promise<void> {
  const now = clock()
  const whose = userId !== undefined && { userId }
  await store.putSignOut({ ...whose, at: Math.min(before, now), expiresAt: now + accountSeconds, now })
}
