import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-process-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const main = fileURLToPath(new URL('process-main.fixture.ts', import.meta.url))

/** Runs the server until it ends by itself, or `until` saw enough of its output and ended it. */
async function run(environment: Record<string, string>, until?: (stdout: string, kill: () => void) => void) {
  const child = spawn(
    process.execPath,
    ['--conditions=sallyport-source', '--disable-warning=ExperimentalWarning', main],
    {
      env: { PATH: process.env.PATH ?? '', PORT: '0', SALLYPORT_DIR: join(folder, 'data'), ...environment },
    },
  )
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', chunk => {
    stdout += chunk
    until?.(stdout, () => child.kill('SIGTERM'))
  })
  child.stderr.on('data', chunk => {
    stderr += chunk
  })
  const code = await new Promise(resolve => child.on('close', resolve))
  return { code, stdout, stderr }
}

describe('a configuration that cannot work', () => {
  it.each<[string, Record<string, string>, RegExp]>([
    [
      'a public URL that is not https',
      { PUBLIC_URL: 'http://mcp.example.com' },
      /^PUBLIC_URL must be https: [^\n]+\n$/,
    ],
    [
      'a data folder that cannot be written',
      { SALLYPORT_DIR: '/dev/null/data' },
      /^SALLYPORT_DIR [^\n]+ cannot be written: [^\n]+\n$/,
    ],
    [
      'sign-in without a password in public',
      { PUBLIC_URL: 'https://mcp.example.com' },
      /^The development sign-in asks for no password and works on localhost only: [^\n]+\n$/,
    ],
    ['sign-in without a password for the network', { HOST: '0.0.0.0' }, /^The development sign-in [^\n]+\n$/],
    ['a weak secret', { SALLYPORT_SECRET: 'short' }, /^SALLYPORT_SECRET [^\n]+\n$/],
  ])(
    '%s: one sentence on stderr, exit code 1',
    async (_, environment, sentence) => {
      const { code, stdout, stderr } = await run(environment)
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(sentence)
    },
    20_000,
  )

  it('a port in use: one sentence on stderr, exit code 1', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await new Promise(resolve => other.once('listening', resolve))
    const { port } = other.address() as { port: number }
    const { code, stderr } = await run({ PORT: `${port}`, SALLYPORT_DIR: join(folder, 'unused') })
    other.close()
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `Port ${port} is in use: set PORT to another one, or stop the program that uses it.\n`,
    })
    expect(() => statSync(join(folder, 'unused'))).toThrow()
  }, 20_000)
})

describe('a server as a process', () => {
  it('makes its secret, says so, warns of a typo, and ends with code 0 on SIGTERM', async () => {
    const { code, stdout, stderr } = await run({ OAUTH_ACESS_TOKEN_TTL: '1' }, (output, kill) => {
      if (output.includes('DEVELOPMENT SIGN-IN')) kill()
    })
    expect(code).toBe(0)
    expect(stdout).toMatch(/process is ready: http:\/\/localhost:\d+\/mcp/)
    expect(stdout).toContain(`Data: ${join(folder, 'data')}`)
    const lines = stderr
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(lines).toContainEqual(expect.objectContaining({ level: 40, variable: 'OAUTH_ACESS_TOKEN_TTL' }))
    expect(lines).toContainEqual(expect.objectContaining({ level: 40, path: join(folder, 'data', 'secret') }))
    expect(lines).toContainEqual(expect.objectContaining({ msg: 'stopping', signal: 'SIGTERM' }))
    expect(readdirSync(join(folder, 'data'))).toEqual(expect.arrayContaining(['secret', 'store.sqlite']))
  }, 20_000)
})
