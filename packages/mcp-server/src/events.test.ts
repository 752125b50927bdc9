import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMemoryStore, developmentSignIn, type RecordedEvent } from '@sallyport/oauth'
import { Hono } from 'hono'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createServer } from './create-server.ts'
import { createLogger } from './log.ts'
import { createTestClient } from './sign-in.fixture.ts'

const origin = 'http://localhost:3000'
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-events-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function setUp(environment: Record<string, string> = {}, onEvent?: (event: RecordedEvent) => void) {
  const lines: string[] = []
  const server = createServer({
    name: 'notebook',
    version: '1.0.0',
    signIn: developmentSignIn(),
    store: createMemoryStore({ tenant: 'default' }),
    secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
    environment,
    clock: () => 1_800_000_000,
    ...(onEvent && { onEvent }),
    logger: createLogger({ name: 'test', level: 'trace' }, { write: line => void lines.push(line) }),
  })
  server.tool('whoami', { description: 'Names you', auth: {}, run: (_, { caller }) => caller.userId })
  return { server, lines, client: createTestClient(request => server.fetch(request), origin) }
}

describe('events of a server', () => {
  it('R191: the audit log holds what the callback was told, with one id for each request', async () => {
    const path = join(folder, 'audit.jsonl')
    const told: RecordedEvent[] = []
    const { server, client } = setUp({ SALLYPORT_AUDIT_LOG: path }, event => told.push(event))
    const tokens = await client.signIn()
    await client.call('whoami', {}, tokens.access_token)
    await server.close()
    const logged = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as RecordedEvent)
    expect(logged).toEqual(told)
    for (const { at } of logged) expect(at).toBe(1_800_000_000)
    const types = logged.map(({ type }) => type)
    expect(types).toEqual(
      expect.arrayContaining([
        'client_registered',
        'consent_granted',
        'sign_in_succeeded',
        'token_issued',
        'tool_called',
      ]),
    )
    const idOf = (type: string) => logged.find(event => event.type === type)?.requestId
    expect(idOf('sign_in_succeeded')).toBe(idOf('code_issued'))
    expect(new Set(['client_registered', 'code_issued', 'token_issued', 'tool_called'].map(idOf)).size).toBe(
      4,
    )
    // R188: nothing that opens anything.
    for (const secret of Object.values(tokens).filter(value => String(value).length > 20)) {
      expect(JSON.stringify(logged)).not.toContain(secret)
    }
  })

  it('R201: a request is answered when its events cannot be written, and the log says so', async () => {
    const { server, client, lines } = setUp({ SALLYPORT_AUDIT_LOG: '/dev/full' })
    expect((await client.call('whoami')).status).toBe(401)
    await client.signIn()
    await server.close()
    expect(lines.join('')).toContain('an event could not be told to the audit log or onEvent')
  })

  it('an audit log that cannot be opened stops the start', async () => {
    const { server } = setUp({ SALLYPORT_AUDIT_LOG: folder })
    await expect(server.fetch(new Request(origin))).rejects.toThrow(/SALLYPORT_AUDIT_LOG/)
    await server.close()
  })
})

describe('limits of a server', () => {
  const registration = (forwarded?: string) =>
    new Request(`${origin}/oauth/register`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(forwarded !== undefined && { 'x-forwarded-for': forwarded }),
      },
      body: JSON.stringify({
        redirect_uris: ['http://127.0.0.1/callback'],
        token_endpoint_auth_method: 'none',
      }),
    })
  const register = (server: ReturnType<typeof setUp>['server'], peer: string, forwarded?: string) =>
    server.fetch(registration(forwarded), { remoteAddress: peer })

  it('count for a server mounted in another Hono app too, by the socket the request came on', async () => {
    const { server } = setUp({ OAUTH_RATE_LIMIT: '0.05' })
    const host = new Hono().route('/', server.app)
    const from = async (remoteAddress: string) => {
      const answer = await host.fetch(registration(), { incoming: { socket: { remoteAddress } } })
      return answer.status
    }
    for (let i = 0; i < 3; i++) expect(await from('198.51.100.7')).toBe(201)
    expect(await from('198.51.100.7')).toBe(429)
    expect(await from('203.0.113.9')).toBe(201)
    await server.close()
  })

  it('R197: behind a trusted proxy each client has limits of its own, and a header it sends changes nothing', async () => {
    const { server } = setUp({ SALLYPORT_TRUSTED_PROXIES: '10.0.0.0/8', OAUTH_RATE_LIMIT: '0.05' })
    const statusOf = async (forwarded: string) => (await register(server, '10.0.0.1', forwarded)).status
    for (let i = 0; i < 3; i++) expect(await statusOf('198.51.100.7')).toBe(201)
    expect(await statusOf('198.51.100.7')).toBe(429)
    expect(await statusOf('192.0.2.1, 198.51.100.7')).toBe(429)
    expect(await statusOf('203.0.113.9')).toBe(201)
    await server.close()
  })

  it('R197: without a trusted proxy the header is not looked at', async () => {
    const { server } = setUp({ OAUTH_RATE_LIMIT: '0.05' })
    for (let i = 0; i < 3; i++)
      expect((await register(server, '203.0.113.9', `192.0.2.${i}`)).status).toBe(201)
    expect((await register(server, '203.0.113.9', '192.0.2.9')).status).toBe(429)
    await server.close()
  })

  it('OAUTH_RATE_LIMIT=0 turns limits off in development', async () => {
    const { server } = setUp({ OAUTH_RATE_LIMIT: '0' })
    for (let i = 0; i < 100; i++) expect((await register(server, '203.0.113.9')).status).toBe(201)
    await server.close()
  })
})
