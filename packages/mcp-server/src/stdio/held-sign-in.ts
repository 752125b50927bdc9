import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigurationError, type Sealer } from '@sallyport/oauth'
import { z } from 'zod'

const heldSchema = z.object({
  clientId: z.string().min(1),
  accessToken: z.string().min(1),
  refreshToken: z.string().min(1).optional(),
  /** Seconds since the epoch; 0 when the issuer did not say. */
  endsAt: z.int().nonnegative(),
})

/** What this machine holds of a user's sign-in. */
export type HeldSignIn = z.infer<typeof heldSchema>

/** Where it is kept. Processes of one user share it. */
export interface HeldSignInStore {
  read(): HeldSignIn | undefined
  write(held: HeldSignIn | undefined): void
}

/** Keeps it for as long as the process runs. */
export function createMemoryHeldSignIn(): HeldSignInStore {
  let held: HeldSignIn | undefined
  return {
    read: () => held,
    write(next) {
      held = next
    },
  }
}

/**
 * Keeps it in a file (mode 0600), sealed under the server's secret: the file alone opens nothing (R162).
 *
 * @param place.issuer with `place.resource`: what the sign-in is for; each has a file of its own
 */
export function createFileHeldSignIn(
  place: { directory: string; tenant: string; issuer: string; resource: string },
  sealer: Sealer,
): HeldSignInStore {
  const { directory, tenant, issuer, resource } = place
  const id = createHash('sha256')
    .update(JSON.stringify([tenant, issuer, resource]))
    .digest('hex')
  const path = join(directory, `stdio-${id.slice(0, 32)}`)
  const context = { tenant, kind: 'stdio-sign-in', id }
  return {
    read() {
      let sealed: string
      try {
        sealed = readFileSync(path, 'utf8')
      } catch {
        return undefined
      }
      const opened = sealer.open(sealed, context)
      const parsed = opened && heldSchema.safeParse(JSON.parse(opened.plaintext))
      return parsed?.success ? parsed.data : undefined
    },
    write(held) {
      try {
        if (!held) return rmSync(path, { force: true })
        mkdirSync(directory, { recursive: true, mode: 0o700 })
        // Written aside and moved: another process reads the old one or the new one, never half of it.
        const aside = `${path}.${process.pid}`
        writeFileSync(aside, sealer.seal(JSON.stringify(held), context), { mode: 0o600 })
        renameSync(aside, path)
      } catch (error) {
        throw new ConfigurationError(
          `SALLYPORT_DIR (${directory}) cannot be written: make it a folder this user may write to.`,
          { cause: error },
        )
      }
    },
  }
}
