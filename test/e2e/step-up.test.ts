import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { createServer, developmentSignIn } from '@sallyport/mcp-server'
import { createMemoryStore } from '@sallyport/oauth'
import { createBrowser } from '@sallyport/test-upstream/browser'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createClientProvider } from './support/client-provider.ts'
import { mcpRequest, type Revision } from './support/mcp-request.ts'
import { passSignIn } from './support/sign-in.ts'

const redirectUrl = 'http://localhost:1/callback'

const server = createServer({
  name: 'Step-up',
  version: '1.0.0',
  port: 0,
  signIn: developmentSignIn(),
  scopes: { 'notes:read': 'Read your notes', 'notes:private': 'Read your private notes' },
  store: createMemoryStore({ tenant: 'default' }),
  secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
  rateLimit: 0,
  logLevel: 'silent',
  environment: {},
})
const auth = { scopes: ['notes:read', 'notes:private'] } as const
// With something for everybody, clients connect without a sign-in.
server.tool('hello', { description: 'Greets', run: () => 'hello' })
server.tool('whoami', { description: 'Names you', auth: {}, run: (_, { caller }) => caller.userId })
server.tool('search', {
  description: 'Searches your notes',
  input: z.object({ words: z.string() }),
  auth,
  run: ({ words }, { caller }) => `tool: ${words} for ${caller.userId}`,
})
server.resource('notes://inbox', {
  name: 'inbox',
  auth,
  run: (_, { caller }) => `resource: inbox of ${caller.userId}`,
})
server.resource('notes://{day}', {
  name: 'day',
  auth,
  run: ({ day }, { caller }) => `template: ${day} of ${caller.userId}`,
})
server.prompt('review', {
  description: 'Reviews a day',
  input: z.object({ day: z.string() }),
  auth,
  run: ({ day }, { caller }) => `prompt: ${day} of ${caller.userId}`,
})
beforeAll(() => server.start({ silent: true, handleSignals: false, throwOnError: true }))
afterAll(() => server.close())

/** What is protected: how it is listed, asked for byte by byte and by a client, and what it then gives. */
const offers: readonly {
  kind: string
  list: (client: Client) => Promise<string[]>
  name: string
  request: readonly [method: string, params: Record<string, unknown>]
  use: (client: Client) => Promise<unknown>
  gives: (userId: string) => string
}[] = [
  {
    kind: 'tool',
    list: async client => (await client.listTools()).tools.map(({ name }) => name),
    name: 'search',
    request: ['tools/call', { name: 'search', arguments: { words: 'milk' } }],
    use: client => client.callTool({ name: 'search', arguments: { words: 'milk' } }),
    gives: userId => `tool: milk for ${userId}`,
  },
  {
    kind: 'resource',
    list: async client => (await client.listResources()).resources.map(({ uri }) => uri),
    name: 'notes://inbox',
    request: ['resources/read', { uri: 'notes://inbox' }],
    use: client => client.readResource({ uri: 'notes://inbox' }),
    gives: userId => `resource: inbox of ${userId}`,
  },
  {
    kind: 'resource of a template',
    list: async client =>
      (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    name: 'notes://{day}',
    request: ['resources/read', { uri: 'notes://monday' }],
    use: client => client.readResource({ uri: 'notes://monday' }),
    gives: userId => `template: monday of ${userId}`,
  },
  {
    kind: 'prompt',
    list: async client => (await client.listPrompts()).prompts.map(({ name }) => name),
    name: 'review',
    request: ['prompts/get', { name: 'review', arguments: { day: 'monday' } }],
    use: client => client.getPrompt({ name: 'review', arguments: { day: 'monday' } }),
    gives: userId => `prompt: monday of ${userId}`,
  },
]

const eras: readonly [Revision, 'legacy' | { pin: string }][] = [
  ['2025-11-25', 'legacy'],
  ['2026-07-28', { pin: '2026-07-28' }],
]

/** The parameters of a Bearer challenge. */
const challengeOf = (response: Response): Record<string, string> =>
  Object.fromEntries(
    [...(response.headers.get('www-authenticate') ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(
      ([, name = '', value = '']) => [name, value],
    ),
  )

describe.each(eras)('revision %s', (revision, mode) => {
  it.each(offers)(
    'R149, R156: a protected $kind: listed for everybody, 401, 403 with all scopes at once, and step-up goes through to the result',
    async ({ list, name, request: [method, params], use, gives }) => {
      const provider = createClientProvider({ redirectUrl })
      const { memory } = provider
      const transport = new StreamableHTTPClientTransport(new URL(server.url), { authProvider: provider })
      const client = new Client({ name: 'e2e', version: '1' }, { versionNegotiation: { mode } })
      await client.connect(transport)
      /** The user follows the link that the client was about to open. */
      const signIn = async () => {
        const url = memory.authorizationUrl
        if (!url) throw new Error('the client did not ask for a sign-in')
        memory.authorizationUrl = undefined
        const browser = createBrowser({ stopAt: ({ href }) => href.startsWith(redirectUrl) })
        await transport.finishAuth((await passSignIn(browser, url)).url.searchParams)
        return url.searchParams.get('scope')?.split(' ') ?? []
      }

      expect(await list(client)).toContain(name)
      expect(memory.signIns).toBe(0)
      const nobody = await mcpRequest(server.url, method, params, { revision })
      expect(nobody.status).toBe(401)
      expect(challengeOf(nobody)).toMatchObject({
        resource_metadata: expect.stringContaining('/.well-known/oauth-protected-resource/mcp'),
        scope: 'notes:read notes:private',
      })
      expect(challengeOf(nobody)).not.toHaveProperty('error')

      // The first sign-in is for less than this needs.
      await expect(client.callTool({ name: 'whoami' })).rejects.toThrow(/Unauthorized/)
      expect(await signIn()).not.toContain('notes:read')
      const { content } = await client.callTool({ name: 'whoami' })
      const userId = (content as { text: string }[])[0]?.text ?? ''
      expect(userId).toMatch(/^[\w-]{20,}$/)
      const token = memory.tokens?.access_token
      const low = await mcpRequest(server.url, method, params, { token, revision })
      expect(low.status).toBe(403)
      expect(challengeOf(low)).toMatchObject({
        error: 'insufficient_scope',
        scope: 'notes:read notes:private',
        resource_metadata: expect.stringContaining('/.well-known/oauth-protected-resource/mcp'),
      })

      await expect(use(client)).rejects.toThrow(/Unauthorized/)
      expect(memory.signIns).toBe(2)
      expect(await signIn()).toEqual(expect.arrayContaining(['notes:read', 'notes:private']))
      expect(JSON.stringify(await use(client))).toContain(gives(userId))
      // What the first sign-in was for still works with the tokens of the second.
      expect(JSON.stringify(await client.callTool({ name: 'whoami' }))).toContain(userId)
      expect(memory.signIns).toBe(2)
      await client.close()
    },
  )
})
