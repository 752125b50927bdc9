import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { developmentSignIn } from '@sallyport/oauth'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createServer } from './create-server.ts'
import { rekeyCommand } from './rekey-command.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-rekey-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const older = 'the-older-secret-of-thirty-two-bytes'
const newer = 'the-newer-secret-of-thirty-two-bytes'

/** Whether a server comes up with these secrets: its signing key has to open. */
async function comesUp(secrets: string): Promise<string> {
  const server = createServer({
    name: 'rekeyed',
    version: '1',
    signIn: developmentSignIn(),
    environment: { SALLYPORT_DIR: directory, SALLYPORT_SECRET: secrets, PORT: '0', LOG_LEVEL: 'silent' },
  })
  server.tool('whoami', { description: 'Who', auth: {}, run: (_, { caller }) => caller.userId })
  await server.start({ silent: true, throwOnError: true, handleSignals: false })
  const jwks = await fetch(new URL('/oauth/jwks', server.url))
  const { keys } = (await jwks.json()) as { keys: { kid: string }[] }
  await server.close()
  return keys.map(({ kid }) => kid).join()
}

it('R178: after rekey the older secret can go, and tokens signed before stay good', async () => {
  const signedBefore = await comesUp(older)
  const lines: string[] = []
  await rekeyCommand({ SALLYPORT_DIR: directory, SALLYPORT_SECRET: `${newer},${older}` }, line =>
    lines.push(line),
  )
  expect(lines).toContain('Signing keys: 1 sealed again, 0 already up to date, 0 unreadable.')
  expect(lines.join()).not.toContain(newer)
  expect(await comesUp(newer)).toBe(signedBefore)
})

it('says which secret is missing instead of promising that one may go', async () => {
  await comesUp(older)
  const lines: string[] = []
  await rekeyCommand({ SALLYPORT_DIR: directory, SALLYPORT_SECRET: newer }, line => lines.push(line))
  expect(lines).toContain('Signing keys: 0 sealed again, 0 already up to date, 1 unreadable.')
  expect(lines.at(-1)).toMatch(/put it back into SALLYPORT_SECRET/)
  expect(readFileSync(join(directory, 'store.sqlite')).includes(Buffer.from(newer))).toBe(false)
})
