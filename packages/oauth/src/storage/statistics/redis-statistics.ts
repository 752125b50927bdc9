import type { ConnectionStore } from '../connections/connection-store.ts'
import type { RedisGrantReader } from '../grants/redis-grant-reader.ts'
import type { RedisSteps } from '../redis-steps.ts'
import type { SigningKeyStore } from '../signing-keys/signing-key-store.ts'
import { countGrant, type StatisticsStore, type StoreStats, walkPageSize } from './statistics-store.ts'

export function createRedisStatistics(
  { keys, commands, unreadable }: RedisSteps,
  grants: RedisGrantReader,
  connections: ConnectionStore,
  signingKeys: SigningKeyStore,
): StatisticsStore {
  return {
    async stats({ now }) {
      const open = keys.openAuthorizations()
      const stats: StoreStats = {
        grants: 0,
        grantsWithAccess: 0,
        connections: { active: 0, dead: 0 },
        pendingAuthorizations:
          (await commands.read(client => client.zcount(open, `(${now}`, '+inf'))) ??
          unreadable('pending_authorization') ??
          0,
        signingKeys: (await signingKeys.listSigningKeys({ now })).length,
      }
      let cursor: string | undefined
      do {
        const page = await grants.listPage(now, cursor, walkPageSize)
        for (const grant of page.grants) countGrant(stats, grant, now)
        cursor = page.cursor
      } while (cursor !== undefined)
      do {
        const page = await connections.listAllConnections({ cursor, limit: walkPageSize, now })
        for (const { state } of page.connections) stats.connections[state]++
        cursor = page.cursor
      } while (cursor !== undefined)
      return stats
    },
  }
}
