import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  assertScopesRequired,
  assertSignInRequired,
  createTestServer,
  fakeProvider,
  type TestServer,
  withoutStart,
} from '@sallyport/mcp-server/testing'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'

vi.mock('@sallyport/mcp-server', async original => withoutStart(await original()))

const directory = mkdtempSync(join(tmpdir(), 'quickstart-'))
let server: Awaited<typeof import('./server.ts')>['server']
beforeAll(async () => {
  // Demo Cloud keeps its key there.
  vi.stubEnv('SALLYPORT_DIR', directory)
  ;({ server } = await import('./server.ts'))
})
afterAll(() => {
  vi.unstubAllEnvs()
  rmSync(directory, { recursive: true })
})

const demo = fakeProvider('demo', { api: () => Response.json({ name: 'Ada', plan: 'Free' }) })
let test: TestServer
beforeEach(() => {
  test = createTestServer(server, { providers: [demo] })
})
afterEach(() => test.close())

it('adds for everybody', async () => {
  const client = await test.asNobody().connect()
  expect(await client.callTool({ name: 'add', arguments: { a: 2, b: 3 } })).toMatchObject({
    content: [{ text: '5' }],
  })
  await assertSignInRequired(client.callTool({ name: 'whoami', arguments: {} }), { scopes: ['mcp'] })
})

it('keeps one notebook for each user, for who may write', async () => {
  const note = { name: 'add-note', arguments: { text: 'milk' } }
  const [ada, bob] = await Promise.all(
    ['ada', 'bob'].map(async sub => (await test.asUser({ sub, scopes: ['notes:write'] })).connect()),
  )
  await ada?.callTool(note)
  expect(await ada?.callTool(note)).toMatchObject({
    content: [{ text: 'Saved. Your notebook has 2 notes.' }],
  })
  expect(await bob?.callTool(note)).toMatchObject({ content: [{ text: 'Saved. Your notebook has 1 note.' }] })
  const reader = await (await test.asUser({ sub: 'eve' })).connect()
  await assertScopesRequired(reader.callTool(note), { scopes: ['notes:write'] })
})

it('reads the profile with a token that is fresh, however late it is', async () => {
  const client = await (await test.asUser({ sub: 'ada' })).connect()
  const profile = { name: 'my-profile', arguments: {} }
  expect(await client.callTool(profile)).toMatchObject({
    content: [{ text: '{"name":"Ada","plan":"Free"}' }],
  })
  test.clock.advance(7200)
  await client.callTool(profile)
  const [before, after] = demo.requests.map(({ headers }) => headers.get('authorization'))
  expect(after).not.toBe(before)
})

it('serves Demo Cloud beside the endpoint', async () => {
  const response = await test.fetch('/demo/.well-known/openid-configuration')
  expect(await response.json()).toMatchObject({ issuer: 'http://localhost:3000/demo' })
})
