import { DatabaseSync } from 'node:sqlite'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import { createEmbeddedStore, type EmbeddedStoreOptions } from './embedded-store.ts'
import { prepareStoreFile } from './file-store-folder.ts'
import { openSchema } from './file-store-schema.ts'
import { isSqliteBusy, isSqliteError } from './sqlite-error.ts'
import { createSqliteKeeper } from './sqlite-keeper.ts'
import type { Store } from './store.ts'

export interface FileStoreOptions extends EmbeddedStoreOptions {
  /** Folder of the store, created with mode 0700 (`SALLYPORT_DIR`). */
  directory: string
  /** How often revocations by other processes are looked for, in milliseconds. Default 500. */
  pollIntervalMs?: number
  /** How long a step waits for another process's step, in milliseconds; nothing else runs meanwhile. Default 2000. */
  busyTimeoutMs?: number
}

/**
 * Opens the store in a folder of this machine, which several processes may share: SQLite in WAL mode, one write
 * transaction per step, each on the disk before its outcome is told (R167).
 *
 * @throws {ConfigurationError} when the folder cannot be written, or holds something that is not our store
 * @throws {StoreUnavailableError} when other processes keep the store locked
 */
export function createFileStore({
  directory,
  pollIntervalMs = 500,
  busyTimeoutMs = 2_000,
  ...options
}: FileStoreOptions): Store {
  const path = prepareStoreFile(directory)
  const database = openDatabase(path, directory, busyTimeoutMs)
  return createEmbeddedStore(
    createSqliteKeeper(database, options.tenant ?? 'default', pollIntervalMs),
    options,
  )
}

function openDatabase(path: string, directory: string, busyTimeoutMs: number): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path)
    openSchema(database, directory, busyTimeoutMs)
    return database
  } catch (cause) {
    database?.close()
    if (isSqliteBusy(cause)) {
      throw new StoreUnavailableError('the file store is locked by another process', { cause })
    }
    if (!isSqliteError(cause)) throw cause
    throw new ConfigurationError(
      `SALLYPORT_DIR (${directory}) holds a store that cannot be read: restore it, or make it another folder.`,
      { cause },
    )
  }
}
