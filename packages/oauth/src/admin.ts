import type { Context } from './context.ts'
import { disconnect } from './disconnect.ts'
import { sha256 } from './protocol/hash.ts'
import { signOutBrowsers } from './sign-out.ts'
import { rankConnections } from './storage/default-connection.ts'
import { operationId } from './storage/operation-id.ts'
import type { RevocationReason } from './storage/records.ts'
import type { Store, StoreStats } from './storage/store.ts'
import {
  type ConnectionSummary,
  type GrantSummary,
  summarizeConnections,
  summarizeGrant,
} from './storage/summaries.ts'

/**
 * What an operator can see and end. In the process that does it, an access token is refused at once, in every other
 * process on the same store within a second. Nothing here shows a token, a code, or a hash of one.
 *
 * All of it throws `StoreUnavailableError`: then it may be half done, and doing it again is safe.
 */
export interface Admin {
  /** Ends all sessions of a user. They may sign in again. Resolves to how many ended. */
  revokeUser(userId: string): Promise<number>
  /** Ends all sessions of a user, and lets them neither sign in nor refresh until they are enabled. */
  disableUser(userId: string): Promise<number>
  /** Lets a user sign in again. Sessions that ended stay ended. */
  enableUser(userId: string): Promise<void>
  /** Deletes a client for good: its sessions end, and its `client_id` is unknown from now on. */
  revokeClient(clientId: string): Promise<number>
  /** Ends one session. Resolves to whether there was one to end. */
  revokeGrant(grantId: string): Promise<boolean>
  /** Ends every session of this tenant. Clients stay known, and users sign in again. */
  revokeAll(): Promise<number>
  /** Sessions of a user that have not ended, newest first. */
  listGrants(userId: string): Promise<GrantSummary[]>
  /**
   * What a user has connected, account by account, how it does, and when it is tried again where a refresh failed. What
   * the accounts are called is for their owner, and stays sealed.
   */
  listConnections(userId: string): Promise<ConnectionSummary[]>
  /**
   * Forgets what a user has connected at a provider, and has the tokens revoked there as soon as it answers; tools then
   * ask the user to connect again. Resolves to whether there was something to forget.
   *
   * @param account its id, as `listConnections` tells. Default: the account that tools use when they do not say which
   */
  deleteConnection(userId: string, provider: string, account?: string): Promise<boolean>
  /** Counts what there is. It looks at every record: for now and then, not for a health check. */
  stats(): Promise<StoreStats>
}

/** How many families one step looks at. */
const pageSize = 500

/** A mark that ends when somebody takes it away, at the latest in a century. */
const markSeconds = 100 * 365 * 86_400

/** Creates the operator's side of an authorization server. */
export function createAdmin(
  context: Pick<Context, 'store' | 'sealer' | 'clock' | 'random' | 'emit' | 'revokesUpstream'>,
): Admin {
  const { store, clock, random, emit } = context
  const by = 'administrator'

  const revoke = async (
    of: Parameters<Store['revokeGrants']>[0]['of'],
    reason: RevocationReason,
  ): Promise<number> => {
    let count = 0
    let cursor: string | undefined
    do {
      const step = { of, reason, cursor, limit: pageSize, operationId: operationId(random), now: clock() }
      const page = await store.revokeGrants(step)
      for (const grantId of page.revoked) emit({ type: 'family_revoked', grantId, by: reason })
      count += page.revoked.length
      cursor = page.cursor
    } while (cursor !== undefined)
    return count
  }

  return {
    async revokeUser(userId) {
      await signOutBrowsers(context, userId)
      return revoke({ userId }, by)
    },
    async disableUser(userId) {
      const now = clock()
      // The mark first: a session that begins in between cannot get a token any more.
      await store.putDisabledUser({ userId, expiresAt: now + markSeconds, now })
      // For when they are enabled again, soon.
      await signOutBrowsers(context, userId)
      emit({ type: 'user_disabled', userId, by })
      return revoke({ userId }, by)
    },
    async enableUser(userId) {
      await store.deleteDisabledUser({ userId, now: clock() })
      emit({ type: 'user_enabled', userId, by })
    },
    async revokeClient(clientId) {
      const clientIdHash = sha256(clientId)
      const now = clock()
      // The tombstone first, for the same reason. A registration carries its own proof, and would come back to life
      // with the end of the tombstone.
      await store.putClientTombstone({ clientIdHash, expiresAt: now + markSeconds, now })
      emit({ type: 'client_deleted', clientIdHash, by })
      return revoke({ clientId }, by)
    },
    async revokeGrant(grantId) {
      const step = { id: grantId, reason: by, operationId: operationId(random), now: clock() } as const
      if ((await store.revokeGrant(step)) !== 'revoked') return false
      emit({ type: 'family_revoked', grantId, by })
      return true
    },
    async revokeAll() {
      await signOutBrowsers(context, undefined)
      emit({ type: 'tenant_revoked', by })
      return revoke('tenant', 'tenant')
    },
    listGrants: async userId => (await store.listGrants({ userId, now: clock() })).map(summarizeGrant),
    async listConnections(userId) {
      const now = clock()
      return summarizeConnections(await store.listConnections({ userId, now }), now)
    },
    async deleteConnection(userId, provider, account) {
      const own = (await store.listConnections({ userId, now: clock() })).filter(
        each => each.provider === provider,
      )
      const found =
        account === undefined ? rankConnections(own)[0] : own.find(each => each.account === account)
      return found ? disconnect(context, { userId, provider, account: found.account }, by) : false
    },
    stats: () => store.stats({ now: clock() }),
  }
}
