import { createMemoryStore, developmentSignIn, type SallyportEvent } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { createDpopKey, type DpopKey, signProof } from '../../oauth/src/dpop.fixture.ts'
import { createServer } from './create-server.ts'
import { createLogger } from './log.ts'
import type { SignInOptions } from './sign-in.ts'

const origin = 'http://localhost:3000'
const mcpUrl = `${origin}/mcp`
const clientSecret = 'canary-secret-of-a-job-0123456789'
const key = createDpopKey()

/** A server with a client by itself, which needs no browser to get a token. */
function setUp(options: SignInOptions = {}) {
  const time = { now: 1_800_000_000 }
  const events: SallyportEvent[] = []
  const lines: string[] = []
  const server = createServer({
    name: 'jobs',
    version: '1.0.0',
    signIn: developmentSignIn(),
    clients: [{ clientId: 'job', clientSecret, grantTypes: ['client_credentials'], scopes: ['mcp'] }],
    store: createMemoryStore({ tenant: 'default' }),
    secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
    environment: {},
    clock: () => time.now,
    onEvent: event => events.push(event),
    logger: createLogger({ name: 'test', level: 'trace' }, { write: line => void lines.push(line) }),
    allowedOrigins: ['https://browser.example'],
    ...options,
  })
  server.tool('run', {
    description: 'Runs',
    auth: { clients: true },
    run: (_, { caller }) => caller.clientId,
  })
  const sign = (url: string, change: Partial<Parameters<typeof signProof>[1]> = {}, by: DpopKey = key) =>
    signProof(by, { url, now: time.now, ...change })
  const token = async (proof?: string) => {
    const response = await server.fetch(
      new Request(`${origin}/oauth/token`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${btoa(`job:${clientSecret}`)}`,
          ...(proof !== undefined && { DPoP: proof }),
        },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      }),
    )
    return { response, body: (await response.json()) as Record<string, string> }
  }
  const call = (headers: Record<string, string>, url = mcpUrl) =>
    server.fetch(
      new Request(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/call',
          params: { name: 'run', arguments: {} },
        }),
      }),
    )
  const get = async (path: string) => (await server.fetch(new Request(origin + path))).json()
  return { server, time, events, lines, sign, token, call, get }
}

describe('a tool call with a bound token', () => {
  it('R159: goes through with a proof for it, and each proof once', async () => {
    const { sign, token, call, events, lines } = setUp()
    const { body } = await token(sign(`${origin}/oauth/token`))
    expect(body.token_type).toBe('DPoP')
    const accessToken = body.access_token!
    const present = (proof: string) => call({ authorization: `DPoP ${accessToken}`, DPoP: proof })
    const proof = sign(mcpUrl, { accessToken })
    const passed = await present(proof)
    expect(passed.status).toBe(200)
    expect(await passed.text()).toContain('"text":"job"')
    const again = await present(proof)
    expect([again.status, again.headers.get('www-authenticate')?.split(',')[0]]).toEqual([
      401,
      'DPoP error="invalid_dpop_proof"',
    ])
    expect(events).toContainEqual(expect.objectContaining({ type: 'dpop_proof_replayed', jkt: key.jkt }))
    expect((await present(sign(mcpUrl, { accessToken }))).status).toBe(200)
    for (const secret of [accessToken, proof]) expect(lines.join('')).not.toContain(secret.slice(0, 40))
  })

  it('R159: stolen, it opens nothing: not as Bearer, not with another key, not with a proof for elsewhere', async () => {
    const { sign, token, call } = setUp()
    const accessToken = (await token(sign(`${origin}/oauth/token`))).body.access_token!
    const statusOf = async (scheme: string, proof?: string) =>
      (await call({ authorization: `${scheme} ${accessToken}`, ...(proof && { DPoP: proof }) })).status
    const thief = createDpopKey()
    expect(await statusOf('Bearer')).toBe(401)
    expect(await statusOf('Bearer', sign(mcpUrl, { accessToken }))).toBe(401)
    expect(await statusOf('DPoP')).toBe(401)
    expect(await statusOf('DPoP', sign(mcpUrl, { accessToken }, thief))).toBe(401)
    expect(await statusOf('DPoP', sign(mcpUrl))).toBe(401)
    expect(await statusOf('DPoP', sign(mcpUrl, { accessToken, method: 'GET' }))).toBe(401)
    expect(await statusOf('DPoP', sign('http://evil.example/mcp', { accessToken }))).toBe(401)
    expect(await statusOf('DPoP', sign(mcpUrl, { accessToken }))).toBe(200)
  })

  it('R159: a proof is for the public URL, whatever name the request came by', async () => {
    const { sign, token, call } = setUp()
    const accessToken = (await token(sign(`${origin}/oauth/token`))).body.access_token!
    const alias = 'http://127.0.0.1:3000/mcp'
    const authorization = `DPoP ${accessToken}`
    expect((await call({ authorization, DPoP: sign(alias, { accessToken }) }, alias)).status).toBe(401)
    expect((await call({ authorization, DPoP: sign(mcpUrl, { accessToken }) }, alias)).status).toBe(200)
  })

  it('R159: with nonces, endpoint and resource take the same one', async () => {
    const { sign, token, call } = setUp({ dpopNonces: true })
    const refused = await token(sign(`${origin}/oauth/token`))
    expect(refused.body.error).toBe('use_dpop_nonce')
    const claims = { nonce: refused.response.headers.get('dpop-nonce') }
    const accessToken = (await token(sign(`${origin}/oauth/token`, { claims }))).body.access_token!
    const authorization = `DPoP ${accessToken}`
    const without = await call({ authorization, DPoP: sign(mcpUrl, { accessToken }) })
    expect(without.status).toBe(401)
    expect(without.headers.get('www-authenticate')).toMatch(/^DPoP error="use_dpop_nonce"/)
    expect(without.headers.get('dpop-nonce')).toBe(claims.nonce)
    expect((await call({ authorization, DPoP: sign(mcpUrl, { accessToken, claims }) })).status).toBe(200)
  })
})

describe('what a client learns', () => {
  it.each([true, false])('R5, R159: both documents and the challenge agree on it (%s)', async dpop => {
    const { get, call } = setUp({ dpop })
    const algorithms = dpop ? ['ES256', 'Ed25519', 'EdDSA', 'PS256', 'RS256'] : undefined
    for (const name of ['oauth-authorization-server', 'oauth-protected-resource/mcp']) {
      const document = (await get(`/.well-known/${name}`)) as Record<string, unknown>
      expect(document.dpop_signing_alg_values_supported).toEqual(algorithms)
    }
    const challenge = (await call({})).headers.get('www-authenticate')
    expect(challenge?.includes('DPoP algs="ES256 Ed25519 EdDSA PS256 RS256"')).toBe(dpop)
  })

  it('R94: a page that may use the endpoint may send a proof and read the nonce', async () => {
    const { server } = setUp()
    const headers = { origin: 'https://browser.example' }
    const preflight = await server.fetch(new Request(mcpUrl, { method: 'OPTIONS', headers }))
    expect(preflight.headers.get('access-control-allow-headers')?.split(', ')).toContain('DPoP')
    expect(preflight.headers.get('access-control-expose-headers')?.split(', ')).toContain('DPoP-Nonce')
  })
})
