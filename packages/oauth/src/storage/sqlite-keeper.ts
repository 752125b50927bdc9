import type { DatabaseSync } from 'node:sqlite'
import { systemRandom } from '../runtime.ts'
import { operationId } from './operation-id.ts'
import { changeSeconds, createPolledChanges } from './polled-changes.ts'
import { createPolledFeed } from './polled-feed.ts'
import type { RecordKeeper } from './record-keeper.ts'
import { type Revocation, recordSchemas } from './records.ts'
import { orUnavailable } from './sqlite-error.ts'

/** To SQLite, -1 is no limit. */
const everything = { position: 0, limit: -1 }

/** Keeps the records of one tenant in an open SQLite database. */
export function createSqliteKeeper(
  database: DatabaseSync,
  tenant: string,
  pollIntervalMs: number,
): RecordKeeper {
  const live = 'tenant = :tenant AND kind = :kind AND expires_at > :now'
  const begin = database.prepare('BEGIN IMMEDIATE')
  const commit = database.prepare('COMMIT')
  const rollback = database.prepare('ROLLBACK')
  const find = database.prepare(`SELECT value FROM records WHERE ${live} AND id = :id`)
  const count = database.prepare(`SELECT count(*) AS count FROM records WHERE ${live}`)
  const listing = (by: string) =>
    database.prepare(
      `SELECT sequence, value FROM records WHERE ${live} ${by} AND sequence > :position
       ORDER BY sequence LIMIT :limit`,
    )
  const listAll = listing('')
  const listByUser = listing('AND user_id = :userId')
  const listByClient = listing('AND client_id = :clientId')
  const listDue = database.prepare(
    `SELECT value FROM records WHERE ${live} AND queue = :queue AND due_at BETWEEN :from AND :to
     ORDER BY due_at LIMIT :limit`,
  )
  const put = database.prepare(`
    INSERT INTO records (tenant, kind, id, user_id, client_id, queue, due_at, expires_at, value)
    VALUES (:tenant, :kind, :id, :userId, :clientId, :queue, :dueAt, :expiresAt, :value)
    ON CONFLICT (tenant, kind, id) DO UPDATE SET user_id = excluded.user_id, client_id = excluded.client_id,
      queue = excluded.queue, due_at = excluded.due_at, expires_at = excluded.expires_at, value = excluded.value`)
  const remove = database.prepare('DELETE FROM records WHERE tenant = :tenant AND kind = :kind AND id = :id')
  // Of all tenants: a sandbox nobody opens any more would keep its records for good.
  const removeExpired = database.prepare('DELETE FROM records WHERE expires_at <= :now')
  // The kind stands in the text: only then does SQLite see that the index of the feed is the one to use.
  const feedOf = (kind: 'revocation' | 'change') => {
    const newest = database.prepare(
      `SELECT max(sequence) AS position FROM records WHERE tenant = :tenant AND kind = '${kind}'`,
    )
    const since = database.prepare(`
      SELECT sequence, value FROM records WHERE tenant = :tenant AND kind = '${kind}' AND sequence > :position
      ORDER BY sequence`)
    return {
      newest: () => Number(newest.get({ tenant })?.position ?? 0),
      since: (position: number) =>
        since.all({ tenant, position }).map(row => ({
          position: Number(row.sequence),
          value: String(row.value),
        })),
    }
  }

  const write = <T>(step: () => T): T =>
    orUnavailable(() => {
      // Takes the write lock before the first read, so that what a step reads is still true when it writes.
      begin.run()
      try {
        const result = step()
        commit.run()
        return result
      } catch (error) {
        try {
          rollback.run()
        } catch {
          // SQLite had rolled back by itself; what went wrong first is what matters.
        }
        throw error
      }
    })

  const list = (...[kind, by, page, now]: Parameters<RecordKeeper['listPage']>) => {
    const base = { tenant, kind, now, ...page }
    if (!by) return listAll.all(base)
    return 'userId' in by
      ? listByUser.all({ ...base, userId: by.userId })
      : listByClient.all({ ...base, clientId: by.clientId })
  }

  const revocationFeed = feedOf('revocation')
  const revocations = createPolledFeed(
    {
      newest: revocationFeed.newest,
      since: position =>
        revocationFeed
          .since(position)
          .map(row => ({ position: row.position, revocation: readRevocation(row.value) })),
    },
    pollIntervalMs,
  )
  const changeFeed = feedOf('change')
  const changes = createPolledChanges(
    {
      newest: changeFeed.newest,
      since: position =>
        changeFeed.since(position).map(row => ({ position: row.position, sealed: row.value })),
    },
    pollIntervalMs,
  )
  const putRecord: RecordKeeper['put'] = (kind, id, { userId, clientId, queue, dueAt, expiresAt, value }) =>
    void put.run({
      tenant,
      kind,
      id,
      userId: userId ?? null,
      clientId: clientId ?? null,
      queue: queue ?? null,
      dueAt: dueAt ?? null,
      expiresAt,
      value,
    })

  return {
    write,
    read: orUnavailable,
    find: (kind, id, now) => find.get({ tenant, kind, id, now })?.value as string | undefined,
    list: (kind, by, now) => list(kind, by, everything, now).map(({ value }) => String(value)),
    listPage(kind, by, page, now) {
      const rows = list(kind, by, page, now)
      return {
        values: rows.map(({ value }) => String(value)),
        position: Number(rows.at(-1)?.sequence ?? 0),
      }
    },
    listDue: (kind, queue, due, now) =>
      listDue.all({ tenant, kind, queue, now, ...due }).map(({ value }) => String(value)),
    count: (kind, now) => Number(count.get({ tenant, kind, now })?.count),
    put: putRecord,
    delete: (kind, id) => void remove.run({ tenant, kind, id }),
    deleteExpired: now => void removeExpired.run({ now }),
    check: () => write(() => undefined),
    close() {
      revocations.close()
      changes.close()
      orUnavailable(() => database.close())
    },
    revocations,
    changes: {
      announce(sealed, now) {
        const record = { value: sealed, expiresAt: now + changeSeconds }
        write(() => putRecord('change', operationId(systemRandom), record, now))
        changes.look()
      },
      watch: watcher => orUnavailable(() => changes.watch(watcher)),
    },
  }
}

/** R172: an unreadable row is passed over, so that it cannot silence the feed for everybody. */
function readRevocation(value: string): Revocation | undefined {
  try {
    return recordSchemas.revocation.safeParse(JSON.parse(value)).data
  } catch {
    return undefined
  }
}
