import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createServer } from '@sallyport/mcp-server'
import { assertSignInRequired, createTestServer } from '@sallyport/mcp-server/testing'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

let folder: string
let remote: ReturnType<typeof createServer>
let servers: typeof import('./chuk-composition.ts')

/** A command that starts a server over stdio, whatever it is called with. */
function standIn(command: string): void {
  const path = join(folder, command)
  const program = fileURLToPath(new URL('chuk-transport.ts', import.meta.url))
  writeFileSync(
    path,
    `#!/bin/sh\nSALLYPORT_TRANSPORT=stdio exec '${process.execPath}' --conditions=sallyport-source '${program}'\n`,
  )
  chmodSync(path, 0o755)
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-commands-'))
  standIn('uvx')
  standIn('python')
  vi.stubEnv('PATH', `${folder}${delimiter}${process.env.PATH}`)
  remote = createServer({ name: 'api', version: '1.0.0', port: 0, logLevel: 'silent', environment: {} })
  remote.tool('status', { description: 'Status', run: () => 'All is well.' })
  await remote.start({ silent: true, handleSignals: false })
  vi.stubEnv('API_URL', remote.url)
  servers = await import('./chuk-composition.ts')
}, 60_000)

afterAll(async () => {
  await remote.close()
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

describe('the servers docs/migrate-from-chuk.md puts together', () => {
  it('answer under their prefixes, the protected one to who signed in', async () => {
    await using test = createTestServer(servers.hub)
    const client = await test.asNobody().connect()
    const text = async (name: string, args: object) =>
      (await client.callTool({ name, arguments: { ...args } })).content[0]
    expect(await text('weather_forecast', { city: 'Oslo' })).toMatchObject({ text: 'Sunny in Oslo.' })
    expect(await text('time_greet', { name: 'Ada' })).toMatchObject({ text: 'Hello, Ada!' })
    await assertSignInRequired(client.callTool({ name: 'api_status' }))
    const ada = await (await test.asUser({ sub: 'ada' })).connect()
    expect(await ada.callTool({ name: 'api_status' })).toMatchObject({ content: [{ text: 'All is well.' }] })
  }, 60_000)

  it('a server in Python goes on behind the front door', async () => {
    await using test = createTestServer(servers.front)
    const refused = await test.asNobody().request('tools/call', { name: 'greet', arguments: { name: 'Ada' } })
    await assertSignInRequired(refused)
    const ada = await (await test.asUser({ sub: 'ada' })).connect()
    expect(await ada.callTool({ name: 'greet', arguments: { name: 'Ada' } })).toMatchObject({
      content: [{ text: 'Hello, Ada!' }],
    })
  }, 60_000)

  it('who calls too often is told so', async () => {
    await using test = createTestServer(servers.limited)
    vi.useFakeTimers({ toFake: ['Date'], now: 1_800_000_000_000 })
    const client = await test.asNobody().connect()
    const call = () => client.callTool({ name: 'now' })
    for (let calls = 0; calls < 100; calls++) expect((await call()).isError).toBeFalsy()
    expect(await call()).toMatchObject({
      isError: true,
      content: [{ text: 'Too many calls: wait a second.' }],
    })
    vi.setSystemTime(1_800_000_001_000)
    expect((await call()).isError).toBeFalsy()
    vi.useRealTimers()
  })
})
