import type { DatabaseSync } from 'node:sqlite'
import { ConfigurationError } from '../errors.ts'

/** Marks a SQLite file as ours: "SALY" in ASCII. */
const applicationId = 0x53_41_4c_59
const schemaVersion = 1

const schema = `
  CREATE TABLE records (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT,
    client_id TEXT,
    expires_at INTEGER NOT NULL,
    value TEXT NOT NULL,
    UNIQUE (tenant, kind, id)
  ) STRICT;
  CREATE INDEX records_by_end ON records (expires_at);
  CREATE INDEX records_by_kind_and_end ON records (tenant, kind, expires_at);
  CREATE INDEX records_by_user ON records (tenant, kind, user_id) WHERE user_id IS NOT NULL;
  CREATE INDEX records_by_client ON records (tenant, kind, client_id) WHERE client_id IS NOT NULL;
  CREATE INDEX revocation_feed ON records (tenant, sequence) WHERE kind = 'revocation';
  PRAGMA application_id = ${applicationId};
  PRAGMA user_version = ${schemaVersion};
`

/** What came after the first stores were made, and what makes them alike; older programs work on with it. */
const additions = `
  ALTER TABLE records ADD COLUMN queue TEXT;
  ALTER TABLE records ADD COLUMN due_at INTEGER;
  CREATE INDEX records_by_due ON records (tenant, queue, due_at) WHERE queue IS NOT NULL;
`

/** An index that came later still; it changes no table. */
const changeFeed = `
  CREATE INDEX IF NOT EXISTS change_feed ON records (tenant, sequence) WHERE kind = 'change';
`

/**
 * Puts a connection into the state every step relies on, and creates the tables when the file is new.
 *
 * @throws {ConfigurationError} when the file belongs to another program or a newer version
 */
export function openSchema(database: DatabaseSync, directory: string, busyTimeoutMs: number): void {
  const pragma = (name: string): unknown => Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]
  const isNew = (): boolean => {
    const owner = pragma('application_id')
    const version = pragma('user_version')
    if (owner === applicationId && version === schemaVersion) return false
    if (owner === 0 && version === 0 && !database.prepare('SELECT 1 FROM sqlite_schema').get()) return true
    throw new ConfigurationError(
      `SALLYPORT_DIR (${directory}) holds a store of another program or a newer version: ` +
        'make it another folder.',
    )
  }
  const transaction = <T>(kind: 'DEFERRED' | 'IMMEDIATE', step: () => T): T => {
    database.exec(`BEGIN ${kind}`)
    try {
      const result = step()
      database.exec('COMMIT')
      return result
    } catch (error) {
      database.exec('ROLLBACK')
      throw error
    }
  }
  database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`)
  // Before the file is changed in any way, and in a transaction: another process may be making the tables.
  transaction('DEFERRED', isNew)
  if (pragma('journal_mode = WAL') !== 'wal') {
    throw new ConfigurationError(
      `SALLYPORT_DIR (${directory}) is on a file system SQLite cannot share between processes: ` +
        'make it a folder on a local disk.',
    )
  }
  // FULL: a commit is on the disk before its outcome is told, so that a power cut brings no used code back (R167).
  database.exec('PRAGMA synchronous = FULL')
  transaction('IMMEDIATE', () => {
    if (isNew()) database.exec(schema)
    const columns = database.prepare('PRAGMA table_info(records)').all()
    if (!columns.some(({ name }) => name === 'queue')) database.exec(additions)
    database.exec(changeFeed)
  })
}
