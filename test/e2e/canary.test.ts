import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Canary, found } from './support/canaries.ts'
import { callTool, mcpRequest } from './support/mcp-request.ts'
import { createRawClient, type RawClient } from './support/raw-client.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

let sallyport: Sallyport
/** Secrets between client and server. */
const ours: Canary[] = []
/** Secrets between server and upstream. */
let theirs: Canary[] = []
/** Every answer of the server, token replies left out, which are secrets by design. */
const answers: { where: string; text: string }[] = []

async function record(where: string, answer: Response): Promise<string> {
  const text = await answer.text()
  answers.push({ where, text: `${[...answer.headers].join('\n')}\n${text}` })
  return text
}

function keep(kind: string, value: unknown): void {
  if (typeof value === 'string' && value.length >= 8) ours.push({ kind, value })
}

function keepTokens(reply: { access_token?: unknown; refresh_token?: unknown; id_token?: unknown }): void {
  keep('access token', reply.access_token)
  keep('refresh token', reply.refresh_token)
  keep('id token', reply.id_token)
}

const secretsOfUpstream = (): Canary[] => [
  ...sallyport.upstream.control.secrets.map(({ kind, value }) => ({ kind: `upstream ${kind}`, value })),
  { kind: 'upstream client secret', value: sallyport.upstreamSecret },
]

async function faults(client: RawClient): Promise<void> {
  const { origin, mcpUrl, upstream } = sallyport
  // Every secret, sent where it does not belong, in the query, in the body and in the header.
  for (const { value } of [...ours, ...theirs]) {
    await record(
      'mcp, wrong token',
      await callTool(mcpUrl, 'whoami', {}, { token: encodeURIComponent(value) }),
    )
    const query = new URLSearchParams({ access_token: value, code: value, state: value, iss: value })
    await record('callback, wrong state', await fetch(`${origin}/oauth/callback/upstream?${query}`))
    const wrongClient = new URLSearchParams({ client_id: value, redirect_uri: value, state: value })
    await record('authorize, wrong client', await fetch(`${origin}/oauth/authorize?${wrongClient}`))
    await record('unknown path', await fetch(`${origin}/nothing?${query}`))
    for (const endpoint of ['token', 'revoke', 'register']) {
      const body = new URLSearchParams({
        grant_type: 'authorization_code',
        code: value,
        code_verifier: value,
        refresh_token: value,
        token: value,
        client_id: client.client.client_id,
        client_secret: value,
      })
      const answer = await fetch(`${origin}/oauth/${endpoint}`, { method: 'POST', body })
      await record(`${endpoint}, wrong value`, answer)
    }
  }
  upstream.control.fail('token', {
    status: 400,
    body: { error: 'invalid_client', error_description: theirs.map(({ value }) => value).join(' ') },
  })
  await client.authorize().catch(() => undefined)
}

beforeAll(async () => {
  sallyport = await startSallyport({
    environment: { LOG_LEVEL: 'trace', OAUTH_ACCESS_TOKEN_TTL: '7200' },
    upstream: { refreshTokens: 'always', rotateRefreshTokens: true },
  })
  const { mcpUrl, upstream } = sallyport
  const client = await createRawClient(mcpUrl, 'client_secret_basic')
  keep('client secret', client.client.client_secret)
  const { callback, parameters, verifier } = await client.authorize({ scope: 'mcp notes:write' })
  keep('authorization code', parameters.get('code'))
  keep('state', callback.searchParams.get('state'))
  keep('code verifier', verifier)
  const first = await oauth.processAuthorizationCodeResponse(
    client.server,
    client.client,
    await client.redeem(parameters, verifier),
  )
  keepTokens(first)
  const token = first.access_token
  for (const tool of ['add', 'whoami', 'add-note', 'my-profile'])
    await record(tool, await callTool(mcpUrl, tool, { a: 1, b: 2, text: 'x' }, { token }))
  await record('tools/list', await mcpRequest(mcpUrl, 'tools/list', {}, { token }))

  // A refresh of each kind.
  upstream.control.expireAccessTokens()
  await sallyport.advance(3601)
  await record('my-profile', await callTool(mcpUrl, 'my-profile', {}, { token }))
  const second = (await (await client.refresh(first.refresh_token ?? '')).json()) as Record<string, unknown>
  keepTokens(second)

  // A sign-in that is never finished leaves its traces too.
  const unfinished = await createRawClient(mcpUrl)
  await unfinished
    .authorize({
      plan: {
        onPage: page => {
          keep('state', page.url.searchParams.get('state'))
          if (page.url.origin !== sallyport.origin) throw new Error('the user leaves')
        },
      },
    })
    .catch(() => undefined)

  const cookies = await client.browser.cookies.getCookies(sallyport.origin)
  for (const { key, value } of cookies) keep(`cookie ${key}`, value)
  theirs = secretsOfUpstream()
  await faults(client)
  theirs = secretsOfUpstream()
  for (const { method, url, status, head, body } of client.browser.exchanges) {
    if (!url.startsWith(sallyport.origin)) continue
    answers.push({ where: `${method} ${new URL(url).pathname} ${status}`, text: `${head}\n${body}` })
  }
})
afterAll(() => sallyport.close())

describe('after a whole session', () => {
  it('the canaries are there to be found', () => {
    expect([...ours, ...theirs].map(({ kind }) => kind)).toEqual(
      expect.arrayContaining([
        'client secret',
        'authorization code',
        'state',
        'code verifier',
        'access token',
        'refresh token',
        'upstream code',
        'upstream state',
        'upstream code_verifier',
        'upstream access_token',
        'upstream refresh_token',
        'upstream id_token',
        'upstream email',
        'upstream client secret',
      ]),
    )
    expect(found(`x${ours[0]?.value}y`, ours)).toHaveLength(1)
    expect(sallyport.logs()).toContain('"level":20')
  })

  it('R188: no secret and no e-mail address is in the log at its most verbose level', () => {
    expect(found(sallyport.logs(), [...ours, ...theirs])).toEqual([])
  })

  it('R162: no secret and no e-mail address is on disk in clear', async () => {
    const files = await readdir(sallyport.directory, { recursive: true, withFileTypes: true })
    const paths = files.filter(file => file.isFile()).map(file => join(file.parentPath, file.name))
    expect(paths.some(path => path.endsWith('-wal'))).toBe(true)
    // R188: the audit log as well.
    expect(paths.some(path => path.endsWith('audit.jsonl'))).toBe(true)
    for (const path of paths) {
      const bytes = (await readFile(path)).toString('latin1')
      expect({ path, found: found(bytes, [...ours, ...theirs]) }).toEqual({ path, found: [] })
    }
  })

  it('R187: no answer of the server holds a secret of the upstream, or an e-mail address', () => {
    // The browser carries the upstream's state and nonce, and its code back; these three are for its eyes.
    const carried = ['upstream state', 'upstream nonce', 'upstream code']
    const canaries = theirs.filter(({ kind }) => !carried.includes(kind))
    const leaks = answers
      .map(({ where, text }) => ({ where, found: found(text, canaries) }))
      .filter(({ where, found }) => found.length > 0 && where !== 'my-profile')
    expect(leaks).toEqual([])
  })

  it('R81: no tool result holds a token, code or secret', () => {
    const canaries = [...ours, ...theirs].filter(({ kind }) => kind !== 'upstream email')
    const leaks = answers
      .filter(({ where }) => ['whoami', 'add', 'add-note', 'my-profile', 'tools/list'].includes(where))
      .map(({ where, text }) => ({ where, found: found(text, canaries) }))
      .filter(({ found }) => found.length > 0)
    expect(leaks).toEqual([])
  })

  it('no answer holds a token, verifier or client secret of the client', () => {
    const kinds = ['client secret', 'access token', 'refresh token', 'id token', 'code verifier']
    const canaries = ours.filter(({ kind }) => kinds.includes(kind))
    const leaks = answers
      .map(({ where, text }) => ({ where, found: found(text, canaries) }))
      .filter(({ found }) => found.length > 0)
    expect(leaks).toEqual([])
  })
})
