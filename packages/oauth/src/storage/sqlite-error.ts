import { StoreUnavailableError } from '../errors.ts'

const busy = 5

/** Whether `node:sqlite` threw it: SQLite refused, or the database is closed. */
export function isSqliteError(error: unknown): error is Error & { errcode?: number } {
  if (!(error instanceof Error) || !('code' in error)) return false
  return error.code === 'ERR_SQLITE_ERROR' || error.code === 'ERR_INVALID_STATE'
}

/** Whether another process holds the lock. The lower byte of an extended result code is the code itself. */
export function isSqliteBusy(error: unknown): boolean {
  return isSqliteError(error) && ((error.errcode ?? 0) & 0xff) === busy
}

/**
 * Runs a step on the database.
 *
 * @throws {StoreUnavailableError} for whatever SQLite throws: the outcome is unknown (R92)
 */
export function orUnavailable<T>(step: () => T): T {
  try {
    return step()
  } catch (cause) {
    if (!isSqliteError(cause)) throw cause
    throw new StoreUnavailableError('the file store could not answer', { cause })
  }
}
