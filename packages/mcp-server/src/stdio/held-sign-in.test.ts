import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigurationError, createSealer, createSecretRing, systemRandom } from '@sallyport/oauth'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createFileHeldSignIn } from './held-sign-in.ts'

let directory: string
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'sallyport-held-')), 'data')
})
afterEach(() => rmSync(join(directory, '..'), { recursive: true, force: true }))

const held = {
  clientId: 'client',
  accessToken: 'canary-access-token',
  refreshToken: 'canary-refresh-token',
  endsAt: 1_900_000_000,
}
const open = (change: { issuer?: string; secret?: string } = {}) =>
  createFileHeldSignIn(
    {
      directory,
      tenant: 'default',
      issuer: change.issuer ?? 'https://login.example.com',
      resource: 'https://mcp.example.com/mcp',
    },
    createSealer(
      createSecretRing([change.secret ?? 'a-secret-for-tests-that-is-long-enough-0123456789']),
      systemRandom,
    ),
  )

describe('a sign-in kept in a file', () => {
  it('comes back, and is gone when it is taken away', () => {
    expect(open().read()).toBeUndefined()
    open().write(held)
    expect(open().read()).toEqual(held)
    open().write(undefined)
    expect([open().read(), readdirSync(directory)]).toEqual([undefined, []])
  })

  it('R162: the file and its folder are for this user alone, and the file opens nothing without the secret', () => {
    open().write(held)
    const [name = ''] = readdirSync(directory)
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600)
    expect(readFileSync(join(directory, name), 'utf8')).not.toContain('canary')
    expect(open({ secret: 'another-secret-that-is-long-enough-0123456789' }).read()).toBeUndefined()
  })

  it('is of one issuer, whatever file it is found in', () => {
    open().write(held)
    const other = open({ issuer: 'https://other.example.com' })
    expect(other.read()).toBeUndefined()
    other.write({ ...held, clientId: 'other' })
    const [first = '', second = ''] = readdirSync(directory).map(name => join(directory, name))
    const text = readFileSync(first, 'utf8')
    writeFileSync(first, readFileSync(second, 'utf8'))
    writeFileSync(second, text)
    expect([open().read(), other.read()]).toEqual([undefined, undefined])
  })

  it('that was damaged counts as none', () => {
    open().write(held)
    writeFileSync(join(directory, readdirSync(directory)[0] ?? ''), 'half of it')
    expect(open().read()).toBeUndefined()
  })

  it('says which folder it cannot write', () => {
    open().write(undefined)
    writeFileSync(directory, 'a file where the folder should be')
    expect(() => open().write(held)).toThrow(ConfigurationError)
    expect(() => open().write(held)).toThrow(directory)
  })
})
