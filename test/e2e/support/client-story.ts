import { createBrowser } from '@sallyport/test-upstream/browser'
import { expect } from 'vitest'
import type { ClientMemory } from './client-provider.ts'
import type { Sallyport } from './sallyport.ts'
import { passSignIn } from './sign-in.ts'

/** One connection of an MCP client, whatever SDK is behind it. */
export interface Connection {
  toolNames(): Promise<string[]>
  /** The text of a tool's result. */
  call(tool: string, args?: Record<string, unknown>): Promise<string>
  /** Hands the callback's parameters to the SDK, which redeems the code. */
  finishAuth(parameters: URLSearchParams): Promise<void>
  close(): Promise<void>
}

/** What the clients of both SDKs have alike. */
interface SdkClient {
  listTools(): Promise<{ tools: { name: string }[] }>
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<Record<string, unknown>>
  close(): Promise<void>
}

/** The connection of a client that is connected. */
export const connectionOf = (client: SdkClient, finishAuth: Connection['finishAuth']): Connection => ({
  toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
  async call(name, args = {}) {
    const { content } = await client.callTool({ name, arguments: args })
    const [first] = content as { text?: string }[]
    return first?.text ?? ''
  },
  finishAuth,
  close: () => client.close(),
})

/** A client under test: its memory outlives its connections. */
export interface StoryClient {
  memory: ClientMemory
  redirectUrl: string
  /** Asks for more scopes when a call needs them; SDK 1.x refreshes instead, which cannot bring any. */
  stepsUp: boolean
  connect(): Promise<Connection>
}

/** The user follows the link the client was about to open, and comes back with the callback's parameters. */
export async function signInFor(client: StoryClient): Promise<URLSearchParams> {
  const { memory, redirectUrl } = client
  if (memory.authorizationUrl === undefined) throw new Error('the client did not ask for a sign-in')
  const browser = createBrowser({ stopAt: ({ href }) => href.startsWith(redirectUrl) })
  const { url } = await passSignIn(browser, memory.authorizationUrl)
  memory.authorizationUrl = undefined
  expect(url.href.startsWith(redirectUrl)).toBe(true)
  if (memory.state !== '') expect(url.searchParams.get('state')).toBe(memory.state)
  return url.searchParams
}

/** Revokes what the client holds, as its user would at the server (RFC 7009). */
export async function revokeTokens(sallyport: Sallyport, memory: ClientMemory): Promise<void> {
  const answer = await fetch(`${sallyport.origin}/oauth/revoke`, {
    method: 'POST',
    body: new URLSearchParams({
      token: memory.tokens?.refresh_token ?? '',
      client_id: memory.clientInformation?.client_id ?? '',
    }),
  })
  expect(answer.status).toBe(200)
}

/**
 * Discovery from the 401, registration, sign-in, consent, token, `tools/list`, protected calls, step-up, refresh,
 * a new connection with stored tokens, revocation → 401 → a new sign-in.
 */
export async function liveThrough(client: StoryClient, sallyport: Sallyport): Promise<void> {
  const { memory } = client
  let connection = await client.connect()
  expect(await connection.toolNames()).toEqual(expect.arrayContaining(['add', 'whoami', 'add-note']))
  expect(await connection.call('add', { a: 2, b: 3 })).toBe('5')
  expect(memory.signIns).toBe(0)

  await expect(connection.call('whoami')).rejects.toThrow(/Unauthorized/)
  expect(memory.signIns).toBe(1)
  expect(memory.clientInformation?.client_id).toBeTypeOf('string')
  await connection.finishAuth(await signInFor(client))
  const { userId } = JSON.parse(await connection.call('whoami')) as { userId: string }
  expect(userId).toBeTypeOf('string')
  expect(JSON.parse(await connection.call('my-profile'))).toMatchObject({ name: 'Alice Example' })

  // Step-up: the tool's scope was not asked for at the first sign-in.
  if (!client.stepsUp) {
    await expect(connection.call('add-note', { text: 'milk' })).rejects.toThrow(/403/)
    // What its user is left with: sign out in the client, and call the tool first.
    memory.tokens = undefined
  }
  await expect(connection.call('add-note', { text: 'milk' })).rejects.toThrow(/Unauthorized/)
  await connection.finishAuth(await signInFor(client))
  expect(await connection.call('add-note', { text: 'milk' })).toBe('noted: milk')
  expect(JSON.parse(await connection.call('whoami'))).toMatchObject({ userId })

  // The access token has ended; the SDK refreshes without asking anybody.
  const before = memory.tokens
  await sallyport.advance((before?.expires_in ?? 0) + 1)
  expect(JSON.parse(await connection.call('whoami'))).toMatchObject({ userId })
  expect(memory.tokens?.access_token).not.toBe(before?.access_token)
  expect(memory.tokens?.refresh_token).not.toBe(before?.refresh_token)
  expect(memory.signIns).toBe(2)
  await connection.close()

  connection = await client.connect()
  expect(await connection.call('add-note', { text: 'eggs' })).toBe('noted: eggs')
  expect(memory.signIns).toBe(2)

  await revokeTokens(sallyport, memory)
  await expect(connection.call('whoami')).rejects.toThrow(/Unauthorized/)
  expect(memory.signIns).toBe(3)
  await connection.finishAuth(await signInFor(client))
  expect(JSON.parse(await connection.call('whoami'))).toMatchObject({ userId })
  await connection.close()
}
