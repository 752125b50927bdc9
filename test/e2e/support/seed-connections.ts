import { connectionSealContext, type Store } from '@sallyport/oauth'
import { accessTokenOf, refreshTokenOf } from './counting-upstream.ts'
import { createProviderHost } from './refresh-settings.ts'

/** How many writes are under way at once. */
const width = 500

/**
 * Stores Google connections as the provider made them, in the generation the counting upstream begins with.
 *
 * @param now when their access tokens were issued, for an hour, seconds since the epoch
 * @param options.dueAt puts them into the due set, as a tool that uses them does. Default: not
 */
export async function seedConnections(
  store: Store,
  userIds: readonly string[],
  { now, dueAt }: { now: number; dueAt?: number },
): Promise<void> {
  const { sealer } = createProviderHost(store, () => now)
  const provider = 'google'
  const account = 'default'
  const put = async (userId: string) => {
    const key = { userId, provider, account }
    const grant = {
      accessToken: accessTokenOf(userId),
      receivedAt: now,
      refreshToken: refreshTokenOf(userId),
      issuer: 'https://accounts.google.com',
      subject: userId,
    }
    const sealed = sealer.seal(JSON.stringify(grant), connectionSealContext(store.tenant, key))
    const common = { version: 1 as const, ...key, writtenBy: userId }
    const times = { accessEndsAt: now + 3600, updatedAt: now, expiresAt: now + 7 * 86_400 }
    const connection = { ...common, ...times, state: 'active' as const, scopes: [], sealed }
    await store.putConnection({ record: connection, now })
    if (dueAt === undefined) return
    const task = { ...common, kind: 'refresh' as const, id: JSON.stringify([userId, account]), attempts: 0 }
    await store.putTask({ record: { ...task, dueAt, expiresAt: now + 86_400 }, replaces: true, now })
  }
  for (let i = 0; i < userIds.length; i += width) await Promise.all(userIds.slice(i, i + width).map(put))
}
