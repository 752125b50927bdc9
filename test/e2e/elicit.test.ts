import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  ElicitationCompleteNotificationSchema,
  ElicitRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { type Account, accounts } from '@sallyport/test-upstream'
import { createBrowser } from '@sallyport/test-upstream/browser'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createRawClient, type RawClient } from './support/raw-client.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'
import { passSignIn, type SignInPlan } from './support/sign-in.ts'

const [alice, bob] = accounts as unknown as [Account, Account]

/** What a client is asked, and its answer. */
type Answer = (params: { mode?: string | undefined; url?: string; message: string }) => Promise<object>

/** A connected client of some SDK, signed in with a token. */
interface AskedClient {
  call(tool: string, args?: Record<string, unknown>): Promise<{ text: string; isError: boolean }>
  /** Links whose page was done with, as the server told the client. */
  completed: number
  close(): Promise<void>
}

type Connect = (mcpUrl: string, token: string, answer: Answer) => Promise<AskedClient>

const resultOf = (result: unknown) => {
  const { content, isError } = result as { content: { text?: string }[]; isError?: boolean }
  return { text: content[0]?.text ?? '', isError: isError === true }
}
const capabilities = { elicitation: { form: {}, url: {} } }

const connect2 =
  (mode: 'legacy' | { pin: string }): Connect =>
  async (mcpUrl, token, answer) => {
    const client = new Client({ name: 'e2e', version: '1' }, { versionNegotiation: { mode }, capabilities })
    client.setRequestHandler('elicitation/create', async ({ params }) => (await answer(params)) as never)
    const asked: AskedClient = {
      completed: 0,
      call: async (name, args = {}) => resultOf(await client.callTool({ name, arguments: args })),
      close: () => client.close(),
    }
    client.setNotificationHandler('notifications/elicitation/complete', () => {
      asked.completed++
    })
    const requestInit = { headers: { authorization: `Bearer ${token}` } }
    await client.connect(new StreamableHTTPClientTransport(new URL(mcpUrl), { requestInit }))
    return asked
  }

const connect1: Connect = async (mcpUrl, token, answer) => {
  const client = new Client1({ name: 'e2e', version: '1' }, { capabilities })
  client.setRequestHandler(ElicitRequestSchema, async ({ params }) => (await answer(params)) as never)
  const asked: AskedClient = {
    completed: 0,
    call: async (name, args = {}) => resultOf(await client.callTool({ name, arguments: args })),
    close: () => client.close(),
  }
  client.setNotificationHandler(ElicitationCompleteNotificationSchema, () => {
    asked.completed++
  })
  const requestInit = { headers: { authorization: `Bearer ${token}` } }
  await client.connect(new Transport1(new URL(mcpUrl), { requestInit }))
  return asked
}

let sallyport: Sallyport
let user: RawClient
let token: string

/** Signed in, and the provider's grant has ended since: not connected when the call begins. */
beforeEach(async () => {
  sallyport = await startSallyport({
    kind: 'google',
    environment: { OAUTH_ACCESS_TOKEN_TTL: '86400', OAUTH_REFRESH_TOKEN_TTL: '31536000' },
  })
  user = await createRawClient(sallyport.mcpUrl)
  token = (await user.signIn()).access_token
  sallyport.upstream.control.revokeGrant(alice.sub)
  await sallyport.advance(3601)
})
afterEach(() => sallyport.close())

describe.each<[string, Connect, number]>([
  ['client 2.x in 2026-07-28', connect2({ pin: '2026-07-28' }), 0],
  ['client 2.x in 2025-11-25', connect2('legacy'), 1],
  ['SDK 1.x', connect1, 1],
])('%s', (_, connect, completions) => {
  it('finishes a call whose provider was not connected when it began', async () => {
    const client = await connect(sallyport.mcpUrl, token, async ({ mode, url, message }) => {
      expect([mode, message]).toEqual(['url', 'The connection to your Google account has ended.'])
      const page = await passSignIn(user.browser, url ?? '')
      expect(page.status).toBe(200)
      return { action: 'accept' }
    })
    expect(JSON.parse((await client.call('my-profile')).text)).toEqual(alice)
    expect(client.completed).toBe(completions)
    await client.close()
  })

  it('finishes a call that needed one more account than the user had when it began', async () => {
    // Connected again: the grant had ended.
    const first = await connect(sallyport.mcpUrl, token, async ({ url }) => {
      await passSignIn(user.browser, url ?? '')
      return { action: 'accept' }
    })
    await first.call('my-profile')
    await first.close()
    const asked: string[] = []
    const client = await connect(sallyport.mcpUrl, token, async ({ url, message }) => {
      asked.push(message)
      // Signs in as who they are, then chooses the other account.
      let choices = 0
      const plan: SignInPlan = {
        onPage({ root }) {
          if (root.querySelector('input[name=account]')) plan.account = choices++ === 0 ? alice.sub : bob.sub
        },
      }
      const page = await passSignIn(user.browser, url ?? '', plan)
      expect([page.status, choices]).toEqual([200, 2])
      return { action: 'accept' }
    })
    const { text } = await client.call('my-profiles')
    expect(JSON.parse(text)).toEqual([alice, bob])
    expect(asked).toEqual(['This needs one more Google account of yours.'])
    await client.close()
  })

  it('waits for a user who has only begun when the client answers', async () => {
    let connecting: Promise<unknown> | undefined
    const client = await connect(sallyport.mcpUrl, token, async ({ url }) => {
      connecting = passSignIn(user.browser, url ?? '')
      return { action: 'accept' }
    })
    expect(JSON.parse((await client.call('my-profile')).text)).toEqual(alice)
    await connecting
    await client.close()
  })

  it('a form goes to the user and back', async () => {
    const client = await connect(sallyport.mcpUrl, token, async () => ({
      action: 'accept',
      content: { sure: true },
    }))
    expect((await client.call('confirm', { what: 'Delete it' })).text).toBe('Delete it: true')
    await client.close()
  })

  it('R80: somebody else who opens the link connects nothing, to nobody', async () => {
    const stranger = createBrowser()
    const client = await connect(sallyport.mcpUrl, token, async ({ url }) => {
      const page = await passSignIn(stranger, url ?? '', { account: bob.sub })
      expect(page.status).toBe(403)
      return { action: 'cancel' }
    })
    expect(await client.call('my-profile')).toEqual({
      text: 'Google was not connected, as you decided.',
      isError: true,
    })
    await client.close()
    // Neither account got anything: the user who caused the link is asked again.
    let asked = 0
    const again = await connect(sallyport.mcpUrl, token, async () => {
      asked++
      return { action: 'decline' }
    })
    expect((await again.call('my-profile')).isError).toBe(true)
    expect(asked).toBe(1)
    await again.close()
  })
})

it('R80: an attacker’s link opened by a victim: the victim’s account is not connected to the attacker', async () => {
  const attacker = await createRawClient(sallyport.mcpUrl)
  const { access_token } = await attacker.signIn({ plan: { account: bob.sub } })
  sallyport.upstream.control.revokeGrant(bob.sub)
  await sallyport.advance(3601)
  const links: string[] = []
  const client = await connect2('legacy')(sallyport.mcpUrl, access_token, async ({ url }) => {
    links.push(url ?? '')
    if (links.length > 1) return { action: 'decline' }
    const page = await passSignIn(user.browser, url ?? '', { account: alice.sub })
    expect(page.status).toBe(403)
    return { action: 'cancel' }
  })
  // The second call asks again: nothing was connected by the first.
  for (let calls = 1; calls <= 2; calls++) {
    expect((await client.call('my-profile')).isError).toBe(true)
    expect(links).toHaveLength(calls)
  }
  await client.close()
})
