import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { expect, it } from 'vitest'

it('the server docs/stdio.md shows serves a client that starts it', async () => {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: ['--conditions=sallyport-source', fileURLToPath(new URL('stdio.ts', import.meta.url))],
    env: {
      SESSION_PROVIDER: 'memory',
      SALLYPORT_SECRET: 'a-snippet-needs-thirty-two-bytes-too',
    },
    stderr: 'ignore',
  })
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(transport)
  const { tools } = await client.listTools()
  expect(tools.map(({ name }) => name)).toEqual(['whoami'])
  await client.close()
}, 60_000)
