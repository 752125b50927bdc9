// A Sallyport server on stdio in front of another one that it starts itself.
import { fileURLToPath } from 'node:url'
import { createServer } from '@sallyport/mcp-server'
import { serveStdio } from '@sallyport/mcp-server/stdio'

const server = createServer({ name: 'gateway', version: '1.0.0', logLevel: 'silent' })
server.proxy({
  command: process.execPath,
  args: [fileURLToPath(new URL('stdio-remote-main.ts', import.meta.url))],
})
server.use({ kind: 'tool', name: 'environment' }, async (_, next) => ({
  ...(await next()),
  _meta: { 'example.com/through': 'the gateway' },
}))
await serveStdio(server)
