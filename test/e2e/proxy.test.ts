import { fileURLToPath } from 'node:url'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { type Account, accounts } from '@sallyport/test-upstream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { callTool, resultText } from './support/mcp-request.ts'
import { createRawClient } from './support/raw-client.ts'
import { startRemoteServer } from './support/remote-server.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

const [alice, bob] = accounts as unknown as [Account, Account]

let sallyport: Sallyport
let remote: Awaited<ReturnType<typeof startRemoteServer>>
beforeEach(async () => {
  remote = await startRemoteServer(() => sallyport.upstream.apiOrigin)
  sallyport = await startSallyport({
    environment: {
      E2E_PROXIES: JSON.stringify([
        { url: remote.url, prefix: 'far', credentials: { provider: 'upstream', scopes: ['profile'] } },
        {
          command: process.execPath,
          args: [fileURLToPath(new URL('support/stdio-remote-main.ts', import.meta.url))],
          env: { OF_THE_CHILD: '1' },
          prefix: 'child',
        },
      ]),
      OAUTH_ACCESS_TOKEN_TTL: '86400',
    },
  })
})
afterEach(async () => {
  await sallyport.close()
  await remote.close()
})

async function signIn({ sub }: Account) {
  const { access_token: token } = await (await createRawClient(sallyport.mcpUrl)).signIn({
    plan: { account: sub },
  })
  const client = new Client({ name: 'e2e', version: '1' }, { versionNegotiation: { mode: 'auto' } })
  const requestInit = { headers: { authorization: `Bearer ${token}` } }
  await client.connect(new StreamableHTTPClientTransport(new URL(sallyport.mcpUrl), { requestInit }))
  return { token, client }
}
const text = (result: unknown) => (result as { content: { text?: string }[] }).content[0]?.text

describe('a server behind this one, of an SDK we did not write', () => {
  it('R81, R158, R160: meets each of two users with a token and a session of their own, 200 calls at a time', async () => {
    const users = [await signIn(alice), await signIn(bob)] as const
    for (const { client } of users) {
      const names = async () => (await client.listTools()).tools.map(({ name }) => name)
      await expect
        .poll(names, { timeout: 30_000 })
        .toEqual(expect.arrayContaining(['add', 'far_whoami', 'far_remember']))
    }
    const told: string[][] = [[], []]
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const which = index % 2
        const { client } = users[which as 0 | 1]
        const onprogress = ({ message = '' }: { message?: string | undefined }) =>
          void told[which]?.push(message)
        const arguments_ = { word: `${which}-${index}` }
        return [
          text(await client.callTool({ name: 'far_whoami', arguments: {} })),
          text(await client.callTool({ name: 'far_remember', arguments: arguments_ }, { onprogress })),
        ]
      }),
    )
    for (const [index, [sub, words]] of answers.entries()) {
      expect(sub).toBe((index % 2 === 0 ? alice : bob).sub)
      expect(words?.split(',').every(word => word.startsWith(`${index % 2}-`))).toBe(true)
    }
    expect(told.map(words => [words.length, new Set(words.map(word => word[0])).size])).toEqual([
      [100, 1],
      [100, 1],
    ])
    expect(remote.subs().map(subs => subs.length)).toEqual([1, 1])
    expect(new Set(remote.subs().flat())).toEqual(new Set([alice.sub, bob.sub]))
    for (const { token, client } of users) {
      expect(remote.headers.join()).not.toContain(token)
      await client.close()
    }
  })

  it('refreshes a token that it refuses, and opens anew the session that it has forgotten', async () => {
    const { token } = await signIn(alice)
    const whoami = async () => resultText(await callTool(sallyport.mcpUrl, 'far_whoami', {}, { token }))
    expect(await whoami()).toBe(alice.sub)
    const { control } = sallyport.upstream
    const before = control.count('token', 'refresh_token')
    control.expireAccessTokens()
    expect(await whoami()).toBe(alice.sub)
    expect(control.count('token', 'refresh_token')).toBe(before + 1)
    remote.forgetSessions()
    expect(await whoami()).toBe(alice.sub)
  })

  it('runs as a child with the environment it was given and none of ours, and is started again when it ends', async () => {
    const environment = async () =>
      (await resultText(await callTool(sallyport.mcpUrl, 'child_environment'))).split(',')
    await expect.poll(environment, { timeout: 30_000 }).toContain('OF_THE_CHILD')
    const names = await environment()
    expect(names.filter(name => /SALLYPORT|OAUTH|E2E|SESSION|PORT|PUBLIC_URL/.test(name))).toEqual([])
    await callTool(sallyport.mcpUrl, 'child_end').then(response => response.text())
    await expect.poll(environment, { timeout: 30_000 }).toContain('OF_THE_CHILD')
  })
})

describe.each([
  ['2026-07-28', 'auto'],
  ['2025-11-25', 'legacy'],
] as const)('a gateway on stdio, for a %s client', (_, mode) => {
  it('has the tools of the server it starts, with middleware around them', async () => {
    const client = new Client({ name: 'e2e', version: '1' }, { versionNegotiation: { mode } })
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args: [
          '--conditions=sallyport-source',
          fileURLToPath(new URL('support/stdio-gateway-main.ts', import.meta.url)),
        ],
        stderr: 'ignore',
      }),
    )
    const names = async () => (await client.listTools()).tools.map(({ name }) => name)
    await expect.poll(names, { timeout: 40_000 }).toEqual(['environment', 'end'])
    expect(await client.callTool({ name: 'environment', arguments: {} })).toMatchObject({
      content: [{ text: expect.stringContaining('PATH') }],
      _meta: { 'example.com/through': 'the gateway' },
    })
    await client.close()
  })
})
