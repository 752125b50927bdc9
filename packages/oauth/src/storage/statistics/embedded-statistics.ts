import { setImmediate } from 'node:timers/promises'
import type { z } from 'zod'
import type { EmbeddedSteps } from '../embedded-steps.ts'
import type { RecordKind } from '../record-keeper.ts'
import { recordSchemas } from '../records.ts'
import { countGrant, type StatisticsStore, type StoreStats, walkPageSize } from './statistics-store.ts'

export function createEmbeddedStatistics({ keeper, read, parse }: EmbeddedSteps): StatisticsStore {
  /** Every record of a kind, in steps short enough for requests to get in between. */
  const walk = async <T>(kind: RecordKind, schema: z.ZodType<T>, now: number, visit: (record: T) => void) => {
    for (let position = 0; ; await setImmediate()) {
      const page = await read(() => keeper.listPage(kind, undefined, { position, limit: walkPageSize }, now))
      for (const value of page.values) {
        const record = parse(kind, schema, value)
        if (record) visit(record)
      }
      if (page.values.length < walkPageSize) return
      position = page.position
    }
  }

  return {
    async stats({ now }) {
      const stats: StoreStats = {
        grants: 0,
        grantsWithAccess: 0,
        connections: { active: 0, dead: 0 },
        pendingAuthorizations: await read(() => keeper.count('pending_authorization', now)),
        signingKeys: await read(() => keeper.count('signing_key', now)),
      }
      await walk('grant', recordSchemas.grant, now, grant => countGrant(stats, grant, now))
      await walk('connection', recordSchemas.connection, now, ({ state }) => void stats.connections[state]++)
      return stats
    },
  }
}
