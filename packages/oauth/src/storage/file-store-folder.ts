import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigurationError } from '../errors.ts'

const fileName = 'store.sqlite'
/** What a data folder of ours may hold: the store, and the secret a development server made. */
const isOurs = (name: string) => name.startsWith(fileName) || name.startsWith('secret')
const forOthers = 0o077

/**
 * Makes the folder (0700) and the file (0600) of a file store, or narrows what is there; returns the file's path.
 *
 * @throws {ConfigurationError} when the folder cannot be written, or others can read it and it is not ours alone
 */
export function prepareStoreFile(directory: string): string {
  const path = join(directory, fileName)
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    // Windows has no such modes; its folders belong to their user.
    const hasModes = process.platform !== 'win32'
    if (hasModes && statSync(directory).mode & forOthers) {
      // Narrowing a folder that other programs use, such as /tmp, would lock them out.
      if (!readdirSync(directory).every(isOurs)) {
        throw new ConfigurationError(
          `SALLYPORT_DIR (${directory}) holds other files and is open to other users: ` +
            'make it a folder that Sallyport has for itself.',
        )
      }
      chmodSync(directory, 0o700)
    }
    // SQLite gives its -wal and -shm files the mode of the database, so this one decides for all three.
    closeSync(openSync(path, 'a', 0o600))
    if (hasModes && statSync(path).mode & forOthers) chmodSync(path, 0o600)
  } catch (cause) {
    if (cause instanceof ConfigurationError) throw cause
    throw new ConfigurationError(
      `SALLYPORT_DIR (${directory}) cannot be written: make it a folder this user may write to.`,
      { cause },
    )
  }
  return path
}
