import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigurationError } from '@sallyport/oauth'

/**
 * The secret of a development server, made on first use and kept in `directory` (mode 0600, folder 0700), so
 * that sign-ins survive a restart.
 *
 * @throws {ConfigurationError} when the folder cannot be written
 */
export function developmentSecret(directory: string): { secret: string; path: string; created: boolean } {
  const path = join(directory, 'secret')
  try {
    const stored = read(path)
    if (stored) return { secret: stored, path, created: false }
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    // Written aside and linked in: of two processes that start at once, one wins and both read the same secret.
    const mine = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
    writeFileSync(mine, `${randomBytes(48).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
    try {
      linkSync(mine, path)
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error
    } finally {
      unlinkSync(mine)
    }
    const secret = read(path)
    if (secret) return { secret, path, created: true }
  } catch (error) {
    throw new ConfigurationError(
      `SALLYPORT_DIR (${directory}) cannot be written: make it a folder this user may write to, or set SALLYPORT_SECRET.`,
      { cause: error },
    )
  }
  throw new ConfigurationError(`${path} is empty: delete it, or set SALLYPORT_SECRET.`)
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && (error as NodeJS.ErrnoException).code === code
