import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterEach, expect, it } from 'vitest'
import { createClientProvider } from './support/client-provider.ts'
import { connectionOf, liveThrough, type StoryClient } from './support/client-story.ts'
import { type MetadataDocument, serveMetadataDocument } from './support/metadata-document.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

const redirectUrl = 'http://127.0.0.1:1/callback'

/** `@modelcontextprotocol/sdk` 1.x, which speaks the 2025 revisions only. */
function createClient(mcpUrl: string, clientMetadataUrl?: string): StoryClient {
  const provider = createClientProvider({
    redirectUrl,
    ...(clientMetadataUrl === undefined ? {} : { clientMetadataUrl }),
  })
  return {
    memory: provider.memory,
    redirectUrl,
    stepsUp: false,
    async connect() {
      const transport = new StreamableHTTPClientTransport(new URL(mcpUrl), { authProvider: provider })
      const client = new Client({ name: 'e2e', version: '1' })
      await client.connect(transport)
      return connectionOf(client, parameters => transport.finishAuth(parameters.get('code') ?? ''))
    },
  }
}

let sallyport: Sallyport
let document: MetadataDocument | undefined
afterEach(async () => {
  await sallyport.close()
  await document?.close()
  document = undefined
})

it('SDK 1.x lives through a whole session, registered dynamically', async () => {
  sallyport = await startSallyport()
  await liveThrough(createClient(sallyport.mcpUrl), sallyport)
})

it('SDK 1.x lives through a whole session with opaque access tokens', async () => {
  sallyport = await startSallyport({ environment: { OAUTH_ACCESS_TOKEN_FORMAT: 'opaque' } })
  const client = createClient(sallyport.mcpUrl)
  await liveThrough(client, sallyport)
  expect(client.memory.tokens?.access_token).toMatch(/^sp_at_/)
})

it('SDK 1.x lives through a whole session with a client ID metadata document', async () => {
  document = await serveMetadataDocument([redirectUrl])
  sallyport = await startSallyport({
    environment: { OAUTH_CIMD_LOOPBACK: '1', NODE_EXTRA_CA_CERTS: document.certificatePath },
  })
  const client = createClient(sallyport.mcpUrl, document.url)
  await liveThrough(client, sallyport)
  expect(client.memory.clientInformation?.client_id).toBe(document.url)
})
