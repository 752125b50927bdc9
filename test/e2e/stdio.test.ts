import { once } from 'node:events'
import { type Account, accounts, startUpstream, type Upstream } from '@sallyport/test-upstream'
import { createBrowser } from '@sallyport/test-upstream/browser'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { freePort } from './support/free-port.ts'
import { createRawClient } from './support/raw-client.ts'
import { passSignIn, type SignInPlan } from './support/sign-in.ts'
import {
  createDataFolder,
  type StdioClient,
  spawnStdioServer,
  startStdioClient,
  startStdioClient1,
} from './support/stdio-client.ts'

const [alice] = accounts as unknown as [Account]
const credentials = { clientId: 'sallyport-e2e', clientSecret: 'secret-of-sallyport-at-the-upstream' }

// Each test starts several processes, and machines are busy.
vi.setConfig({ testTimeout: 180_000 })

let port: number
let folder: Awaited<ReturnType<typeof createDataFolder>>
let closing: (() => Promise<unknown>)[]
beforeEach(async () => {
  port = await freePort()
  folder = await createDataFolder()
  closing = [folder.remove]
})
afterEach(async () => {
  for (const close of closing.reverse()) await close()
})

async function start(
  environment: Record<string, string> = {},
  connect: (environment: Record<string, string>) => Promise<StdioClient> = startStdioClient,
): Promise<StdioClient> {
  const client = await connect({ PORT: String(port), SALLYPORT_DIR: folder.directory, ...environment })
  closing.push(client.close)
  return client
}
async function startIssuer(options: { rotateRefreshTokens?: boolean } = {}): Promise<Upstream> {
  const issuer = await startUpstream({
    kind: 'oidc',
    ...credentials,
    redirectUris: ['http://localhost:1/callback'],
    resources: { [`http://localhost:${port}/mcp`]: ['notes.read'] },
    ...options,
  })
  closing.push(issuer.close)
  return issuer
}

const loopbackLink = /http:\/\/127\.0\.0\.1:\d+\/sign-in\/\S+/
const linkOf = ({ text }: { text: string }, pattern = loopbackLink): string => {
  const [link] = pattern.exec(text) ?? []
  if (link === undefined) throw new Error(`no link: ${text}`)
  return link
}
const follow = (link: string, plan?: SignInPlan) => passSignIn(createBrowser(), link, plan)

describe('a server over stdio with an authorization server of its own', () => {
  it('lists everything, signs its user in through the browser, and steps up', async () => {
    const client = await start()
    expect(await client.toolNames()).toEqual(['add', 'whoami', 'read-notes', 'plan'])
    expect(await client.call('add', { a: 2, b: 3 })).toEqual({ text: '5', isError: false })

    const refused = await client.call('whoami')
    expect(refused).toMatchObject({
      isError: true,
      text: expect.stringMatching(/^Sign in first\. Open this link/),
    })
    const page = await follow(linkOf(refused), { name: 'ada' })
    expect([page.status, page.text]).toEqual([200, expect.stringContaining('Signed in')])
    const { isError, text } = await client.call('whoami')
    expect(isError).toBe(false)
    expect(JSON.parse(text)).toMatchObject({ principal: 'user', scopes: ['mcp'] })

    const narrow = await client.call('read-notes')
    expect(narrow.text).toMatch(/^This needs more than you allowed\./)
    await follow(linkOf(narrow), { name: 'ada' })
    expect(await client.call('read-notes')).toEqual({ text: 'notes', isError: false })
    expect(JSON.parse((await client.call('whoami')).text).userId).toBe(JSON.parse(text).userId)
  })

  it('R162, R188: keeps the sign-in over a restart, sealed, and says nothing of it in the log', async () => {
    const first = await start({ LOG_LEVEL: 'trace' })
    const browser = createBrowser()
    await passSignIn(browser, linkOf(await first.call('whoami')), { name: 'ada' })
    const before = (await first.call('whoami')).text
    await first.close()

    const second = await start({ LOG_LEVEL: 'trace' })
    expect((await second.call('whoami')).text).toBe(before)
    const [kept, ...others] = await folder.signIns()
    expect([kept?.mode, others]).toEqual([0o600, []])
    const logs = first.logs() + second.logs()
    const codes = browser.exchanges.flatMap(({ head }) => /[?&]code=([^&\s]+)/.exec(head)?.[1] ?? [])
    expect(codes.length).toBeGreaterThan(0)
    for (const code of codes) expect(logs).not.toContain(code)
    expect(kept?.text + logs).not.toMatch(/eyJ[\w-]+\.eyJ/)
  })

  it('goes on with the refresh token when the access token is about to end', async () => {
    const client = await start({ OAUTH_ACCESS_TOKEN_TTL: '25' })
    await follow(linkOf(await client.call('whoami')), { name: 'ada' })
    const grants: string[] = []
    for (let call = 0; call < 3; call++) grants.push(JSON.parse((await client.call('whoami')).text).grantId)
    expect(new Set(grants).size).toBe(1)
  })

  it('several at once share port and sign-in, and one can end without the others', async () => {
    const [first, second] = [await start(), await start()]
    const link = linkOf(await first.call('whoami'))
    // The second one finds the port taken, and the first one serves the pages for both.
    const other = linkOf(await second.call('whoami'))
    await follow(other, { name: 'ada' })
    expect((await first.call('whoami')).isError).toBe(false)
    expect((await second.call('whoami')).isError).toBe(false)
    await first.close()
    const narrow = await second.call('read-notes')
    await follow(linkOf(narrow), { name: 'ada' })
    expect((await second.call('read-notes')).text).toBe('notes')
    await expect(follow(link)).rejects.toThrow()
  })

  it('R66: a link works once, and a way back that nobody began leads nowhere', async () => {
    const client = await start()
    const link = linkOf(await client.call('whoami'))
    await follow(link, { name: 'ada' })
    expect((await follow(link)).status).toBe(404)
    const { origin } = new URL(link)
    expect((await follow(`${origin}/callback?code=made-up&state=made-up`)).status).toBe(404)
    expect((await follow(`${origin}/`)).status).toBe(404)
  })

  it('R193: opens no MCP endpoint, whoever asks', async () => {
    const client = await start()
    await client.call('whoami')
    const origin = `http://localhost:${port}`
    expect((await fetch(`${origin}/.well-known/oauth-authorization-server`)).status).toBe(200)
    expect((await fetch(`${origin}/mcp`, { method: 'POST', body: '{}' })).status).toBe(404)
  })

  /** A provider in this process, and what the server has to know of it. */
  async function startCloud() {
    const cloud = await startUpstream({
      kind: 'oidc',
      ...credentials,
      redirectUris: [`http://localhost:${port}/oauth/callback/cloud`],
      refreshTokens: 'always',
    })
    closing.push(cloud.close)
    const { issuer, apiOrigin } = cloud
    const { clientSecret } = credentials
    return { cloud, settings: { E2E_CLOUD: JSON.stringify({ issuer, apiOrigin, clientSecret }) } }
  }

  it.each([
    ['SDK 1.x', startStdioClient1],
    ['client 2.x', startStdioClient],
  ])(
    '%s: a call asks its user, model and folders, and goes on once a provider is connected',
    async (_, connect) => {
      const { cloud, settings } = await startCloud()
      const browser = createBrowser()
      const plan = { name: 'ada' }
      const client = await start(settings, environment =>
        connect(environment, {
          async elicit({ mode, url = '' }) {
            if (mode !== 'url') return { action: 'accept', content: { task: 'rest' } }
            return { action: (await passSignIn(browser, url, plan)).status === 200 ? 'accept' : 'decline' }
          },
          sample: () => ({ role: 'assistant', model: 'm-1', content: { type: 'text', text: 'Well' } }),
          roots: () => ({ roots: [{ uri: 'file:///work' }] }),
        }),
      )
      const { text } = await client.call('plan')
      expect(JSON.parse(text)).toEqual(['accept', 'rest', 'm-1', ['file:///work']])
      await passSignIn(browser, linkOf(await client.call('whoami')), plan)
      expect((await client.call('my-profile')).isError).toBe(false)
      cloud.control.revokeGrant(alice.sub)
      cloud.control.expireAccessTokens()
      expect(JSON.parse((await client.call('my-profile')).text)).toMatchObject({ name: alice.name })
    },
  )

  it('connects a provider through the link a tool gives', async () => {
    const { cloud, settings } = await startCloud()
    const client = await start(settings)
    const plan = { name: 'ada' }
    await follow(linkOf(await client.call('whoami')), plan)
    expect(JSON.parse((await client.call('my-profile')).text)).toMatchObject({ name: alice.name })
    cloud.control.revokeGrant(alice.sub)
    cloud.control.expireAccessTokens()
    const ended = await client.call('my-profile')
    expect(ended.text).toContain('Test Cloud account has ended')
    await follow(linkOf(ended, /http:\/\/localhost:\d+\/oauth\/connect\/\S+/), plan)
    expect(JSON.parse((await client.call('my-profile')).text)).toMatchObject({ name: alice.name })
  })
})

describe('a server over stdio with an external issuer', () => {
  it.each([false, true])(
    'signs its user in there, refreshing with rotation %s',
    async rotateRefreshTokens => {
      const issuer = await startIssuer({ rotateRefreshTokens })
      // Less life than a token must have to be used: each call refreshes.
      issuer.control.shortLife(25)
      const client = await start({ E2E_ISSUER: issuer.issuer })
      const page = await follow(linkOf(await client.call('whoami')))
      expect(page.text).toContain('Signed in')
      expect(JSON.parse((await client.call('whoami')).text)).toMatchObject({
        subject: alice.sub,
        issuer: issuer.issuer,
      })
      expect(await client.call('read-notes')).toEqual({ text: 'notes', isError: false })
    },
  )

  it('forgets the sign-in and asks again when the issuer has ended it', async () => {
    const issuer = await startIssuer()
    issuer.control.shortLife(25)
    const client = await start({ E2E_ISSUER: issuer.issuer })
    await follow(linkOf(await client.call('whoami')))
    expect((await client.call('whoami')).isError).toBe(false)
    expect(await folder.signIns()).toHaveLength(1)
    issuer.control.revokeGrant(alice.sub)
    const refused = await client.call('whoami')
    expect(refused.text).toMatch(/^Sign in first\./)
    expect(await folder.signIns()).toEqual([])
    await follow(linkOf(refused))
    expect((await client.call('whoami')).isError).toBe(false)
  })

  it('says that it cannot sign in while the issuer is down, and public tools work', async () => {
    const client = await start({ E2E_ISSUER: `http://127.0.0.1:${await freePort()}` })
    expect(await client.call('add', { a: 2, b: 3 })).toMatchObject({ text: '5' })
    const { text, isError } = await client.call('whoami')
    expect([text, isError]).toEqual(['The sign-in cannot be reached now. Try again in a moment.', true])
  })
})

it('a server over stdio ends with its client, though a browser page is open', async () => {
  const child = spawnStdioServer({ PORT: String(port), SALLYPORT_DIR: folder.directory })
  const exited = once(child, 'exit')
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk
  })
  const send = (message: object) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  const clientInfo = { name: 'raw', version: '1' }
  send({
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo },
  })
  send({ method: 'notifications/initialized' })
  send({ id: 2, method: 'tools/call', params: { name: 'whoami', arguments: {} } })
  await expect.poll(() => output, { timeout: 30_000 }).toContain('/sign-in/')
  child.stdin.end()
  expect(await exited).toEqual([0, null])
})

describe('SALLYPORT_TOKEN', () => {
  async function tokenOf(issuer: Upstream, scope: string) {
    const { createServer } = await import('@sallyport/mcp-server')
    const server = createServer({
      name: 'http',
      version: '1',
      port,
      issuer: issuer.issuer,
      logLevel: 'silent',
      environment: {},
    })
    server.tool('whoami', { description: 'd', auth: {}, run: () => '' })
    await server.start({ silent: true, throwOnError: true, handleSignals: false })
    const client = await createRawClient(server.url, 'none', { algorithm: 'oidc' })
    const tokens = await client.signIn({ scope })
    await server.close()
    return tokens
  }

  it('is the user, without a browser', async () => {
    const issuer = await startIssuer()
    const { access_token } = await tokenOf(issuer, 'notes.read')
    const client = await start({ E2E_ISSUER: issuer.issuer, SALLYPORT_TOKEN: access_token })
    expect(JSON.parse((await client.call('whoami')).text)).toMatchObject({ subject: alice.sub })
    expect((await client.call('read-notes')).text).toBe('notes')
    expect(await folder.signIns()).toEqual([])
  })

  it('R155: refuses to start with an ID token, or with anything else that is no access token', async () => {
    const issuer = await startIssuer()
    const { id_token = '' } = await tokenOf(issuer, 'openid notes.read')
    for (const token of [id_token, 'made-up']) {
      const started = start({ E2E_ISSUER: issuer.issuer, SALLYPORT_TOKEN: token })
      await expect(started).rejects.toThrow(/SALLYPORT_TOKEN is no access token for http:.*, or has ended/)
    }
  })

  it('R139: of a shared store is verified at each call, and ends when it is revoked', async () => {
    // The first process serves the pages that the token is fetched through.
    const first = await start()
    await first.call('whoami')
    const http = await createRawClient(`http://localhost:${port}/mcp`)
    const { access_token, refresh_token = '' } = await http.signIn({ plan: { name: 'ada' } })
    const client = await start({ SALLYPORT_TOKEN: access_token })
    expect((await client.call('whoami')).isError).toBe(false)
    expect((await client.call('read-notes')).text).toMatch(/SALLYPORT_TOKEN does not allow this/)
    await http.revoke(refresh_token)
    const text = async () => (await client.call('whoami')).text
    await expect.poll(text, { timeout: 30_000 }).toMatch(/SALLYPORT_TOKEN has ended or was revoked/)
  })
})
