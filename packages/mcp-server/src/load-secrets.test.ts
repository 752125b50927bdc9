import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigurationError, createSecretRing } from '@sallyport/oauth'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadSecrets } from './load-secrets.ts'

describe('loadSecrets', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-secret-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  const development = () => ({ secrets: undefined, production: false, directory: join(folder, 'data') })

  it('development makes one secret, says so once, and has the same after a restart', () => {
    const said: string[] = []
    const first = loadSecrets(development(), path => said.push(path))
    expect(loadSecrets(development(), path => said.push(path))).toEqual(first)
    expect(said).toEqual([join(folder, 'data', 'secret')])
    expect(() => createSecretRing(first)).not.toThrow()
    expect(readFileSync(said[0]!, 'utf8').trim()).toBe(first[0])
  })

  it.skipIf(process.platform === 'win32')('R175: nobody else on the machine can read it', () => {
    loadSecrets(development(), () => {})
    expect(statSync(join(folder, 'data')).mode & 0o777).toBe(0o700)
    expect(statSync(join(folder, 'data', 'secret')).mode & 0o777).toBe(0o600)
  })

  it('a configured secret is used and nothing is written', () => {
    expect(loadSecrets({ ...development(), secrets: ['mine'] }, () => {})).toEqual(['mine'])
    expect(() => statSync(join(folder, 'data'))).toThrow()
  })

  it('R175: production without a secret does not start', () => {
    expect(() => loadSecrets({ ...development(), production: true }, () => {})).toThrow(
      /^SALLYPORT_SECRET is not set, which production needs/,
    )
  })

  it('a folder that cannot be made, and an empty secret, are one sentence each', () => {
    writeFileSync(join(folder, 'data'), 'a file')
    expect(() => loadSecrets(development(), () => {})).toThrow(ConfigurationError)
    writeFileSync(join(folder, 'secret'), '\n')
    expect(() => loadSecrets({ ...development(), directory: folder }, () => {})).toThrow(
      /is empty: delete it/,
    )
  })
})
