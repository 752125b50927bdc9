import { afterEach, describe, expect, it } from 'vitest'
import { createServer } from './create-server.ts'
import type { InBandChallenges } from './in-band-challenge.ts'
import { mcpRequest, modernHeaders, modernParams } from './mcp-request.fixture.ts'
import type { Server } from './server.ts'
import { createTestClient, testSignIn } from './sign-in.fixture.ts'

const origin = 'http://localhost:3000'
const metadata = `resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp"`
const started: Pick<Server, 'close'>[] = []
afterEach(async () => {
  for (const server of started.splice(0)) await server.close()
})

interface Answer {
  result?: {
    isError?: boolean
    resultType?: string
    content?: { text: string }[]
    _meta?: Record<string, unknown>
    tools?: { name: string; securitySchemes?: unknown; _meta?: Record<string, unknown> }[]
  }
  error?: unknown
  id?: unknown
}

function setUp(inBandChallenges: InBandChallenges | undefined) {
  const time = { now: 1_800_000_000 }
  const server = createServer({
    name: 'notes',
    version: '1.0.0',
    ...testSignIn(),
    clock: () => time.now,
    ...(inBandChallenges !== undefined && { inBandChallenges }),
  })
  started.push(server)
  server.tool('public', { description: 'd', run: () => 'open' })
  server.tool('me', { description: 'd', auth: {}, run: (_, { caller }) => caller.userId })
  server.tool('either', { description: 'd', auth: { anonymous: true }, run: () => 'either' })
  server.tool('write', { description: 'd', auth: { scopes: ['notes:write'] }, run: () => 'written' })
  server.tool('pay', { description: 'd', auth: { maxAgeSeconds: 300 }, run: () => 'paid' })
  server.tool('wipe', { description: 'd', auth: { scopes: ['admin'], hidden: true }, run: () => 'gone' })
  server.resource('notes://all', { auth: { scopes: ['notes:read'] }, run: () => 'all' })

  const client = createTestClient(request => server.fetch(request), origin)
  const post = async (body: unknown, { token, userAgent }: { token?: unknown; userAgent?: string } = {}) => {
    const modern = JSON.stringify(body).includes('io.modelcontextprotocol/protocolVersion')
    const headers = {
      ...(modern && modernHeaders('tools/call', 'me')),
      ...(userAgent !== undefined && { 'user-agent': userAgent }),
    }
    const response = await server.fetch(mcpRequest(origin, body, { token, headers }))
    const text = await response.text()
    const json = text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '{}')
    return {
      status: response.status,
      challenge: response.headers.get('www-authenticate'),
      ...(JSON.parse(json) as Answer),
    }
  }
  const send = (method: string, params: object, options?: { token?: unknown; userAgent?: string }) =>
    post({ jsonrpc: '2.0', id: 7, method, params }, options)
  const call = (name: string, options?: { token?: unknown; userAgent?: string }) =>
    send('tools/call', { name }, options)
  const signIn = async () => (await client.signIn({})).access_token
  return { time, post, send, call, signIn }
}

const inBand = ({ result }: Answer) => result?._meta?.['mcp/www_authenticate']

describe('challenges in results', () => {
  it('are not given unless asked for: other clients sign in by status', async () => {
    const { call } = setUp(undefined)
    expect(await call('me')).toMatchObject({ status: 401, challenge: expect.stringContaining(metadata) })
  })

  it('tell a caller without a token to sign in', async () => {
    const { call } = setUp(true)
    const answer = await call('me')
    expect(answer).toMatchObject({ status: 200, challenge: null, id: 7, result: { isError: true } })
    expect(inBand(answer)).toEqual([
      `Bearer error="insufficient_scope", error_description="Sign in to use this.", ${metadata}, scope="mcp", DPoP algs="ES256 Ed25519 EdDSA PS256 RS256"`,
    ])
  })

  it('R156: name every scope that is missing, as the header would', async () => {
    const { call, signIn } = setUp(true)
    const token = await signIn()
    expect(inBand(await call('write', { token }))).toEqual([
      `Bearer error="insufficient_scope", error_description="This needs more than was granted.", ${metadata}, scope="notes:write"`,
    ])
    const { call: byStatus, signIn: again } = setUp(false)
    const { status, challenge } = await byStatus('write', { token: await again() })
    expect(status).toBe(403)
    expect([challenge]).toEqual(inBand(await call('write', { token })))
  })

  it('say how recent the sign-in has to be', async () => {
    const { call, signIn, time } = setUp(true)
    const token = await signIn()
    time.now += 301
    expect(inBand(await call('pay', { token }))).toEqual([
      expect.stringContaining('error="insufficient_user_authentication"'),
    ])
    expect(inBand(await call('pay', { token }))).toEqual([expect.stringContaining('max_age="300"')])
  })

  it('R149: a token that is not valid stays a 401, so that the client refreshes it', async () => {
    const { call } = setUp(true)
    expect(await call('me', { token: 'stale' })).toMatchObject({
      status: 401,
      challenge: expect.stringContaining('error="invalid_token"'),
    })
  })

  it('R152: nothing but one call of one tool is answered so, and nothing runs', async () => {
    const { send, post, call } = setUp(true)
    expect(await send('resources/read', { uri: 'notes://all' })).toMatchObject({ status: 401 })
    const one = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'me' } }
    expect(await post([one])).toMatchObject({ status: 401 })
    expect(await post({ ...one, id: undefined })).toMatchObject({ status: 401 })
    expect(await post({ ...one, jsonrpc: '1.0' })).toMatchObject({ status: 401 })
    expect(JSON.stringify(await call('write'))).not.toContain('written')
  })

  it('what is hidden looks as if it did not exist', async () => {
    const { call } = setUp(true)
    const answer = await call('wipe')
    expect(inBand(answer)).toBeUndefined()
    expect(JSON.stringify(answer)).not.toContain('admin')
  })

  it('are for the clients that were named, by what they call themselves', async () => {
    const { call } = setUp(userAgent => userAgent.startsWith('openai-mcp'))
    expect(await call('me', { userAgent: 'openai-mcp/1.0.0' })).toMatchObject({ status: 200 })
    expect(await call('me', { userAgent: 'claude-code' })).toMatchObject({ status: 401 })
    expect(await call('me')).toMatchObject({ status: 401 })
  })

  it('fit clients of 2026-07-28', async () => {
    const { post } = setUp(true)
    const answer = await post({
      jsonrpc: '2.0',
      id: 'x',
      method: 'tools/call',
      params: modernParams({ name: 'me' }),
    })
    expect(answer).toMatchObject({
      status: 200,
      id: 'x',
      result: {
        resultType: 'complete',
        _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'notes', version: '1.0.0' } },
      },
    })
    expect(inBand(answer)).toHaveLength(1)
  })
})

describe('security schemes in the list of tools', () => {
  it('tell what each tool needs, without what is hidden', async () => {
    const { send } = setUp(true)
    const { result } = await send('tools/list', {})
    const schemes = Object.fromEntries(
      (result?.tools ?? []).map(tool => {
        expect(tool._meta?.securitySchemes).toEqual(tool.securitySchemes)
        return [tool.name, tool.securitySchemes]
      }),
    )
    expect(schemes).toEqual({
      public: [{ type: 'noauth' }],
      me: [{ type: 'oauth2', scopes: ['mcp'] }],
      either: [{ type: 'noauth' }, { type: 'oauth2', scopes: ['mcp'] }],
      write: [{ type: 'oauth2', scopes: ['notes:write'] }],
      pay: [{ type: 'oauth2', scopes: ['mcp'] }],
    })
  })

  it('are said only where challenges in results are wanted', async () => {
    const { send } = setUp(false)
    const { result } = await send('tools/list', {})
    expect(JSON.stringify(result)).not.toContain('securitySchemes')
  })
})
