import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { createMemoryStore, createServer } from '@sallyport/mcp-server'
import { oidc } from '@sallyport/providers'
import { type Account, accounts, startUpstream, type Upstream } from '@sallyport/test-upstream'
import { createBrowser } from '@sallyport/test-upstream/browser'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createClientProvider } from './support/client-provider.ts'
import { signInFor } from './support/client-story.ts'
import { freePort } from './support/free-port.ts'
import { callTool, linkIn, resultText } from './support/mcp-request.ts'
import { profileUrl } from './support/messages.ts'
import { createRawClient } from './support/raw-client.ts'
import { passSignIn } from './support/sign-in.ts'

const [alice, bob] = accounts as unknown as [Account, Account]
const redirectUrl = 'http://localhost:1/callback'
const elsewhere = 'https://elsewhere.example.com/mcp'
const credentials = { clientId: 'sallyport', clientSecret: 'secret-of-sallyport-at-the-upstreams' }

/** The company's issuer, the cloud whose API a tool uses, and the server between them. */
let issuer: Upstream
let cloud: Upstream
let server: { readonly url: string; close(): Promise<void> }

beforeEach(async () => {
  const port = await freePort()
  const origin = `http://localhost:${port}`
  issuer = await startUpstream({
    kind: 'oidc',
    ...credentials,
    redirectUris: [`${origin}/oauth/callback/login`],
    resources: { [`${origin}/mcp`]: ['notes.read', 'notes.write'], [elsewhere]: ['notes.read'] },
  })
  cloud = await startUpstream({
    kind: 'oidc',
    ...credentials,
    redirectUris: [`${origin}/oauth/callback/cloud`],
    refreshTokens: 'always',
  })
  const provider = (id: 'login' | 'cloud', { issuer, apiOrigin }: Upstream) =>
    oidc({ id, label: id, issuer, ...credentials, scopes: ['profile', 'email'], apiOrigins: [apiOrigin] })
  const created = createServer({
    name: 'issuer e2e',
    version: '1',
    port,
    issuer: issuer.issuer,
    signIn: provider('login', issuer),
    providers: [provider('cloud', cloud)],
    store: createMemoryStore(),
    secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
    logLevel: 'silent',
    environment: {},
  })
  created.tool('whoami', {
    description: 'Tells who calls.',
    auth: {},
    run: (_, { caller }) => JSON.stringify(caller),
  })
  created.tool('read-notes', {
    description: 'Reads notes.',
    auth: { scopes: ['notes.read'] },
    run: () => 'notes',
  })
  created.tool('my-profile', {
    description: 'Reads the profile in the cloud.',
    auth: { cloud: ['profile'] },
    run: async (_, { fetch }) => (await fetch(profileUrl(cloud.apiOrigin))).text(),
  })
  await created.start({ silent: true, throwOnError: true, handleSignals: false })
  server = created
})
afterEach(async () => {
  await server.close()
  await Promise.all([issuer.close(), cloud.close()])
})

const rawClient = () => createRawClient(server.url, 'none', { algorithm: 'oidc' })

describe.each(['legacy', 'auto'] as const)('client 2.x in mode %s', mode => {
  it('finds the foreign issuer from the 401, signs in there for what the tools need, and calls', async () => {
    const provider = createClientProvider({ redirectUrl })
    const { memory } = provider
    const transport = new StreamableHTTPClientTransport(new URL(server.url), { authProvider: provider })
    const client = new Client({ name: 'e2e', version: '1' }, { versionNegotiation: { mode } })
    await client.connect(transport).catch(() => {})
    const call = async (name: string) => {
      const { content } = await client.callTool({ name, arguments: {} })
      const [first] = content as { text?: string }[]
      return first?.text ?? ''
    }
    // Nothing is public: the client is asked to sign in as soon as it connects.
    expect(memory.authorizationUrl?.origin).toBe(issuer.origin)
    expect(memory.authorizationUrl?.searchParams.get('resource')).toBe(server.url)
    const asked = memory.authorizationUrl?.searchParams.get('scope')?.split(' ')
    expect(asked).toContain('notes.read')
    expect(asked).not.toContain('mcp')
    const story = { memory, redirectUrl, stepsUp: true, connect: () => Promise.reject() }
    await transport.finishAuth(await signInFor(story))
    await client.close()

    const again = new StreamableHTTPClientTransport(new URL(server.url), { authProvider: provider })
    await client.connect(again)
    expect(JSON.parse(await call('whoami'))).toMatchObject({
      principal: 'user',
      subject: alice.sub,
      issuer: issuer.issuer,
      clientId: memory.clientInformation?.client_id,
    })
    expect(await call('read-notes')).toBe('notes')
    await client.close()
  })
})

describe('a token of the issuer', () => {
  it('R153: for another resource opens nothing', async () => {
    const client = await rawClient()
    const { access_token: good } = await client.signIn({ scope: 'notes.read' })
    expect((await callTool(server.url, 'read-notes', {}, { token: good })).status).toBe(200)
    Object.assign(client.resource, { resource: elsewhere })
    const { access_token: token } = await client.signIn({ scope: 'notes.read' })
    const refused = await callTool(server.url, 'read-notes', {}, { token })
    expect(refused.status).toBe(401)
    expect(refused.headers.get('www-authenticate')).toContain('error="invalid_token"')
  })

  it('R155: an ID token opens nothing', async () => {
    const client = await rawClient()
    const tokens = await client.signIn({ scope: 'openid notes.read' })
    expect(tokens.id_token).toBeTypeOf('string')
    expect((await callTool(server.url, 'whoami', {}, { token: tokens.id_token })).status).toBe(401)
  })
})

describe('a provider account of the issuer’s user', () => {
  it('is connected through the tool’s link, after a sign-in at the issuer', async () => {
    const client = await rawClient()
    const { access_token: token } = await client.signIn({ scope: 'notes.read' })
    const call = async () => resultText(await callTool(server.url, 'my-profile', {}, { token }))
    const page = await passSignIn(client.browser, linkIn(await call()))
    expect(page.text).toContain('Connected')
    expect(JSON.parse(await call())).toMatchObject({ name: alice.name })
    expect(issuer.control.count('authorize')).toBe(2)
  })

  it('R80: is not connected by somebody else who opens the link', async () => {
    const client = await rawClient()
    const { access_token: token } = await client.signIn({ scope: 'notes.read' })
    const call = async () => resultText(await callTool(server.url, 'my-profile', {}, { token }))
    const page = await passSignIn(createBrowser(), linkIn(await call()), { account: bob.sub })
    expect(page.status).toBe(403)
    expect(cloud.control.count('authorize')).toBe(0)
    expect(await call()).toContain('not connected')
  })
})
