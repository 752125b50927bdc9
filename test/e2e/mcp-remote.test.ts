import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { createBrowser } from '@sallyport/test-upstream/browser'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type MetadataDocument, serveMetadataDocument } from './support/metadata-document.ts'
import { interceptLinks, type OpenedLinks } from './support/opened-links.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'
import { passSignIn } from './support/sign-in.ts'

const manifest = createRequire(import.meta.url).resolve('mcp-remote/package.json')
const proxy = join(dirname(manifest), 'dist', 'proxy.js')

let sallyport: Sallyport
let links: OpenedLinks
let folder: string
let document: MetadataDocument | undefined
beforeEach(async () => {
  links = await interceptLinks()
  folder = await mkdtemp(join(tmpdir(), 'sallyport-mcp-remote-'))
})
afterEach(async () => {
  await sallyport.close()
  await links.close()
  await document?.close()
  document = undefined
  await rm(folder, { recursive: true })
})

/** Claude Desktop's way: a stdio server that is mcp-remote. */
async function connect(...options: string[]): Promise<Client> {
  const client = new Client({ name: 'desktop', version: '1' })
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [proxy, sallyport.mcpUrl, '--transport', 'http-only', ...options],
      env: {
        PATH: process.env.PATH ?? '',
        HOME: folder,
        MCP_REMOTE_CONFIG_DIR: folder,
        ...links.environment,
      },
      stderr: 'ignore',
    }),
  )
  return client
}

async function call(client: Client, name: string, args: Record<string, unknown> = {}): Promise<string> {
  const { content } = await client.callTool({ name, arguments: args })
  const [first] = content as { text?: string }[]
  return first?.text ?? ''
}

/** Follows the next link that mcp-remote opens, to its own page on its own port. */
async function signIn(): Promise<void> {
  const browser = createBrowser({ stopAt: ({ pathname }) => pathname === '/oauth/callback' })
  const { url } = await passSignIn(browser, await links.next())
  // mcp-remote may open the link before it listens: a user would press reload.
  const answer = await vi.waitFor(() => fetch(url), { timeout: 10_000 })
  expect(await answer.text()).toContain('Authorization successful')
}

/** What mcp-remote keeps on disk. */
async function stored(name: 'tokens' | 'client_info'): Promise<Record<string, string>> {
  const [file] = (await readdir(folder, { recursive: true })).filter(path => path.endsWith(`_${name}.json`))
  return JSON.parse(await readFile(join(folder, file ?? ''), 'utf8')) as Record<string, string>
}

describe.each([
  { title: 'that asks for sign-in when it connects', challengeOnConnect: true },
  { title: 'with a public tool, that asks at the protected call', challengeOnConnect: false },
])('mcp-remote on a server $title', ({ challengeOnConnect }) => {
  it('signs in, calls, refreshes, starts again without a sign-in, and notices revocation', async () => {
    sallyport = await startSallyport({ challengeOnConnect })
    const connecting = connect()
    if (challengeOnConnect) await signIn()
    let client = await connecting
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('whoami')
    const first = call(client, 'whoami')
    if (!challengeOnConnect) await signIn()
    const { userId } = JSON.parse(await first) as { userId: string }
    expect(JSON.parse(await call(client, 'my-profile'))).toMatchObject({ name: 'Alice Example' })

    const before = await stored('tokens')
    await sallyport.advance(Number(before.expires_in) + 1)
    expect(JSON.parse(await call(client, 'whoami'))).toMatchObject({ userId })
    expect((await stored('tokens')).refresh_token).not.toBe(before.refresh_token)
    await client.close()

    client = await connect()
    expect(JSON.parse(await call(client, 'whoami'))).toMatchObject({ userId })

    const revoked = await fetch(`${sallyport.origin}/oauth/revoke`, {
      method: 'POST',
      body: new URLSearchParams({
        token: (await stored('tokens')).refresh_token ?? '',
        client_id: (await stored('client_info')).client_id ?? '',
      }),
    })
    expect(revoked.status).toBe(200)
    const again = call(client, 'whoami')
    await signIn()
    expect(JSON.parse(await again)).toMatchObject({ userId })
    await client.close()
  })
})

it('R35, R41: mcp-remote comes with a metadata document that names no port, and listens on one of its own', async () => {
  document = await serveMetadataDocument([
    'http://localhost/oauth/callback',
    'http://127.0.0.1/oauth/callback',
  ])
  sallyport = await startSallyport({
    environment: { OAUTH_CIMD_LOOPBACK: '1', NODE_EXTRA_CA_CERTS: document.certificatePath },
  })
  const client = await connect('--client-metadata-url', document.url, '--protocol', 'auto')
  const answer = call(client, 'whoami')
  await signIn()
  expect(JSON.parse(await answer)).toMatchObject({ clientId: document.url })
  await client.close()
})
