import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { describe, expect, it } from 'vitest'
import { eras } from './mcp-client.fixture.ts'

/** A port nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

describe.each(eras)('a %s client that starts the server as its own process', (era, versionNegotiation) => {
  it('uses the tools that need no sign-in, is asked by one of them, and gets a link where the others need one', async () => {
    const client = new Client(
      { name: 'test', version: '1' },
      { versionNegotiation, capabilities: { elicitation: { form: {} } } },
    )
    client.setRequestHandler('elicitation/create', async () => ({ action: 'decline' }))
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args: [
          '--conditions=sallyport-source',
          fileURLToPath(new URL('stdio-main.fixture.ts', import.meta.url)),
        ],
        stderr: 'ignore',
        env: { PORT: String(await freePort()) },
      }),
    )
    const { tools } = await client.listTools()
    expect(tools.map(({ name }) => name)).toEqual(['hello', 'either', 'sure', 'whoami', 'secret', 'typed'])
    const call = async (name: string) => {
      const { content, isError } = await client.callTool({ name, arguments: {} })
      return [content[0]?.type === 'text' && content[0].text, isError === true]
    }
    expect(await call('hello')).toEqual(['hello', false])
    expect(await call('either')).toEqual(['nobody', false])
    expect(await call('sure')).toEqual(['decline', false])
    const link =
      /^Sign in first\. Open this link in a browser on this computer, then try again: http:\/\/127\.0\.0\.1:\d+\/sign-in\/\S+$/
    expect(await call('whoami')).toEqual([expect.stringMatching(link), true])
    expect(await call('secret')).toEqual([expect.stringMatching(link), true])
    expect(await call('typed')).toEqual([expect.stringMatching(link), true])
    const refused = { message: expect.stringMatching(/Sign in first\. Open this link/) }
    await expect(client.readResource({ uri: 'notes://all' })).rejects.toMatchObject(refused)
    if (era === '2025') {
      await expect(client.subscribeResource({ uri: 'notes://all' })).rejects.toMatchObject(refused)
    }
    await expect(client.getPrompt({ name: 'review' })).rejects.toMatchObject(refused)
    await expect(client.callTool({ name: 'hidden', arguments: {} })).rejects.toThrow(/not found/)
    await client.close()
  }, 60_000)
})

it('the same file serves over stdio when the environment says so, without a word on stdout that is not the protocol', async () => {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [
      '--conditions=sallyport-source',
      fileURLToPath(new URL('process-main.fixture.ts', import.meta.url)),
    ],
    stderr: 'ignore',
    env: {
      SALLYPORT_TRANSPORT: 'stdio',
      SALLYPORT_SECRET: 'a-secret-for-tests-that-is-long-enough-0123456789',
      SESSION_PROVIDER: 'memory',
      PORT: String(await freePort()),
    },
  })
  const client = new Client({ name: 'test', version: '1' })
  const notUnderstood: Error[] = []
  client.onerror = error => notUnderstood.push(error)
  await client.connect(transport)
  const { tools } = await client.listTools()
  expect(tools.map(({ name }) => name)).toEqual(['whoami'])
  expect(notUnderstood).toEqual([])
  await client.close()
}, 60_000)
