import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { accounts } from '@sallyport/test-upstream'
import { afterEach, describe, expect, it } from 'vitest'
import { createClientProvider } from './support/client-provider.ts'
import { signInFor } from './support/client-story.ts'
import { type Example, startExample } from './support/example.ts'
import { callTool, linkIn, resultText } from './support/mcp-request.ts'
import { createRawClient } from './support/raw-client.ts'
import { passSignIn } from './support/sign-in.ts'

let example: Example | undefined
afterEach(() => example?.close())

/** Signs in as a user would, and calls tools with the token. */
async function signIn({ mcpUrl }: Example, scope?: string) {
  const client = await createRawClient(mcpUrl)
  const tokens = await client.signIn(scope === undefined ? {} : { scope })
  return {
    client,
    tokens,
    call: async (tool: string, args?: Record<string, unknown>) =>
      resultText(await callTool(mcpUrl, tool, args, { token: tokens.access_token })),
  }
}

describe('the shortest Google tool, as the README shows it', () => {
  it('reads the events of the user who signed in, with a token that Google gave for calendars', async () => {
    example = await startExample('google-calendar', {
      kind: 'google',
      apiOrigin: 'https://www.googleapis.com',
    })
    const { call } = await signIn(example)
    const { items } = JSON.parse(await call('events', { day: '2026-11-21' }))
    expect(items[0]).toMatchObject({
      summary: 'Stand-up of Alice Example',
      start: { dateTime: '2026-11-21T09:00:00Z' },
    })
  })
})

describe('the LinkedIn example', () => {
  it('publishes in the name of the member who signed in', async () => {
    example = await startExample('linkedin-post', { kind: 'linkedin', apiOrigin: 'https://api.linkedin.com' })
    const { call } = await signIn(example)
    expect(await call('post', { text: 'A gate with two doors.' })).toMatch(/^Posted as urn:li:share:\S+\.$/)
  })
})

describe('the GitHub example', () => {
  it('lists the open issues of the user who signed in, those of private repositories too', async () => {
    example = await startExample('github-issues', { kind: 'github', apiOrigin: 'https://api.github.com' })
    const { call } = await signIn(example)
    expect(await call('my-issues')).toBe(
      'upstream/docs#7 Typo found by Alice Example\nupstream/secret#3 The gate squeaks',
    )
  })
})

describe('the example with several providers', () => {
  it('users sign in with Google, connect LinkedIn in the middle of a call, and one more Google account', async () => {
    example = await startExample(
      'many-accounts',
      { kind: 'google', apiOrigin: 'https://www.googleapis.com' },
      { kind: 'linkedin', apiOrigin: 'https://api.linkedin.com' },
    )
    const [, linkedinUpstream] = example.upstreams
    const { call, client } = await signIn(example)
    expect(linkedinUpstream?.control.count('authorize')).toBe(0)

    const asked = await call('share-day', { day: '2026-11-21' })
    expect(asked).toContain('Your LinkedIn account is not connected.')
    expect((await passSignIn(client.browser, linkIn(asked))).text).toContain('Connected')
    expect(await call('share-day', { day: '2026-11-21' })).toMatch(/^Posted \d events as urn:li:share:\S+\.$/)

    const another = await call('add-calendar')
    expect(another).toContain('This needs one more Google account of yours.')
    // First it is shown that the link is hers, then she chooses the other account.
    let page = await client.browser.open(linkIn(another))
    expect(page.text).toContain('Connect another Google account')
    page = await client.browser.submit(page, /continue/i)
    page = await client.browser.submit(page, /allow/i, { account: accounts[0].sub })
    page = await client.browser.submit(page, /allow/i, { account: accounts[1]!.sub })
    expect(page.text).toContain('Connected')

    const listed = JSON.parse(await call('calendars')) as { accounts: { id: string; label: string }[] }
    expect(listed.accounts).toMatchObject([
      { label: accounts[0].name, isDefault: true, state: 'active' },
      { label: accounts[1]!.email, isDefault: false, state: 'active' },
    ])
    const account = listed.accounts[1]!.id
    expect(await call('share-day', { day: '2026-11-21', account })).toMatch(/^Posted \d events/)
    expect(await call('share-day', { day: '2026-11-21', account: 'unknown' })).toContain('no Google account')
  })
})

describe('the quickstart', () => {
  it('needs no credentials: public, protected, scoped and provider tools work after one sign-in', async () => {
    example = await startExample('quickstart')
    const anonymous = await callTool(example.mcpUrl, 'add', { a: 2, b: 3 })
    expect(await resultText(anonymous)).toBe('5')
    expect((await callTool(example.mcpUrl, 'whoami')).status).toBe(401)

    const { call } = await signIn(example, 'mcp notes:write')
    expect(JSON.parse(await call('whoami'))).toEqual({
      userId: expect.any(String),
      scopes: ['mcp', 'notes:write'],
    })
    expect(await call('add-note', { text: 'milk' })).toBe('Saved. Your notebook has 1 note.')
    expect(JSON.parse(await call('my-profile'))).toMatchObject({ name: 'alice', refreshes: 0 })
  })

  it('goes on after a restart, with the same user and the same connection', async () => {
    example = await startExample('quickstart')
    const before = await signIn(example)
    const user = await before.call('whoami')
    await example.restart()
    expect(await before.call('whoami')).toBe(user)
    const refresh = async (token: string | undefined) =>
      (await (await before.client.refresh(token ?? '')).json()) as typeof before.tokens
    const refreshed = await refresh(before.tokens.refresh_token)
    await example.restart()
    const again = await refresh(refreshed.refresh_token)
    const answer = await callTool(example.mcpUrl, 'my-profile', {}, { token: again.access_token })
    expect(JSON.parse(await resultText(answer))).toMatchObject({ name: 'alice' })
  })

  it('says where to point which client, and where its data lies', async () => {
    example = await startExample('quickstart')
    const { mcpUrl, output } = example
    // The log says first that it listens: it comes through another pipe.
    await expect.poll(output, { timeout: 30_000 }).toMatch(/Data: \S+/)
    expect(output()).toContain(`claude mcp add --transport http quickstart ${mcpUrl}`)
    expect(output()).toContain('mcp-remote')
    expect(output()).toContain('.vscode/mcp.json')
  })
})

describe.each(['hono', 'express', 'fastify'])('the server inside an application of %s', host => {
  it('signs a real client in and serves it, beside what the application has', async () => {
    example = await startExample(`mounted/${host}.ts`)
    const { mcpUrl } = example
    const own = await fetch(new URL('/', mcpUrl))
    expect([own.status, await own.text()]).toEqual([200, 'The application itself.'])

    const provider = createClientProvider({ redirectUrl: 'http://localhost:1/callback' })
    const connect = async () => {
      const transport = new StreamableHTTPClientTransport(new URL(mcpUrl), { authProvider: provider })
      const client = new Client({ name: 'e2e', version: '1' }, { versionNegotiation: { mode: 'auto' } })
      return { transport, client, connected: client.connect(transport) }
    }
    const first = await connect()
    await expect(first.connected).rejects.toThrow(/Unauthorized/)
    const { memory } = provider
    const story = { memory, redirectUrl: 'http://localhost:1/callback', stepsUp: true }
    await first.transport.finishAuth(await signInFor({ ...story, connect: () => Promise.reject() }))

    const { client, connected } = await connect()
    await connected
    const save = async () => {
      const { content } = await client.callTool({ name: 'add-note', arguments: { text: 'milk' } })
      return (content as { text?: string }[])[0]?.text
    }
    // The one tool needs a scope, which the client was told when it connected: no second sign-in.
    expect(await save()).toBe('Saved. Your notebook has 1 note.')
    await client.close()
  })

  it('R197: knows its own address from configuration only, whatever a proxy or a stranger says', async () => {
    example = await startExample(`mounted/${host}.ts`)
    const { mcpUrl } = example
    const metadataUrl = new URL('/.well-known/oauth-protected-resource/mcp', mcpUrl)
    const forwarded = {
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      forwarded: 'host=evil.example',
    }
    const metadata = await (await fetch(metadataUrl, { headers: forwarded })).json()
    expect(metadata).toMatchObject({ resource: mcpUrl, authorization_servers: [new URL(mcpUrl).origin] })
  })
})
