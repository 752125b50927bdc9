import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { describe, expect, it } from 'vitest'
import { eras } from './mcp-client.fixture.ts'

describe.each(eras)('a %s client that starts the server as its own process', (_, versionNegotiation) => {
  it('uses the tools that need no sign-in, and is told why the others do not work', async () => {
    const client = new Client({ name: 'test', version: '1' }, { versionNegotiation })
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args: [
          '--conditions=sallyport-source',
          fileURLToPath(new URL('stdio-main.fixture.ts', import.meta.url)),
        ],
        stderr: 'ignore',
      }),
    )
    const { tools } = await client.listTools()
    expect(tools).toMatchObject([{ name: 'hello', inputSchema: { type: 'object' } }, { name: 'either' }])
    const call = async (name: string) => {
      const { content, isError } = await client.callTool({ name, arguments: {} })
      return [content[0]?.type === 'text' && content[0].text, isError === true]
    }
    expect(await call('hello')).toEqual(['hello', false])
    expect(await call('either')).toEqual(['nobody', false])
    const refusal = (name: string) =>
      `"${name}" needs a signed-in user, and over stdio nobody is: connect over HTTP.`
    expect(await call('whoami')).toEqual([refusal('whoami'), true])
    expect(await call('secret')).toEqual([refusal('secret'), true])
    await client.close()
  }, 20_000)
})
