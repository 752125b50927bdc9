import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterEach, describe, expect, it } from 'vitest'
import { createClientProvider } from './support/client-provider.ts'
import { connectionOf, liveThrough, type StoryClient, signInFor } from './support/client-story.ts'
import { type MetadataDocument, serveMetadataDocument } from './support/metadata-document.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

const redirectUrl = 'http://localhost:1/callback'

type Mode = 'legacy' | 'auto' | { pin: string }

/** `@modelcontextprotocol/client` 2.x. */
function createClient(mcpUrl: string, mode: Mode, clientMetadataUrl?: string): StoryClient {
  const provider = createClientProvider({
    redirectUrl,
    ...(clientMetadataUrl === undefined ? {} : { clientMetadataUrl }),
  })
  return {
    memory: provider.memory,
    redirectUrl,
    stepsUp: true,
    async connect() {
      const transport = new StreamableHTTPClientTransport(new URL(mcpUrl), { authProvider: provider })
      const client = new Client({ name: 'e2e', version: '1' }, { versionNegotiation: { mode } })
      await client.connect(transport)
      expect(client.getNegotiatedProtocolVersion()).toBe(mode === 'legacy' ? '2025-11-25' : '2026-07-28')
      return connectionOf(client, parameters => transport.finishAuth(parameters))
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

describe.each<Mode>(['legacy', 'auto', { pin: '2026-07-28' }])('client 2.x in mode %j', mode => {
  it('lives through a whole session, registered dynamically', async () => {
    sallyport = await startSallyport()
    await liveThrough(createClient(sallyport.mcpUrl, mode), sallyport)
  })
})

describe('client 2.x', () => {
  it('lives through a whole session with a client ID metadata document', async () => {
    document = await serveMetadataDocument([redirectUrl])
    sallyport = await startSallyport({
      environment: { OAUTH_CIMD_LOOPBACK: '1', NODE_EXTRA_CA_CERTS: document.certificatePath },
    })
    const client = createClient(sallyport.mcpUrl, 'auto', document.url)
    await liveThrough(client, sallyport)
    expect(client.memory.clientInformation?.client_id).toBe(document.url)
    expect(document.hits()).toBeGreaterThan(0)
  })

  it('signs in on the development page and connects the provider on the way', async () => {
    sallyport = await startSallyport({ signIn: 'development' })
    const client = createClient(sallyport.mcpUrl, 'auto')
    const connection = await client.connect()
    await expect(connection.call('my-profile')).rejects.toThrow(/Unauthorized/)
    await connection.finishAuth(await signInFor(client))
    expect(JSON.parse(await connection.call('my-profile'))).toMatchObject({ name: 'Alice Example' })
    await connection.close()
  })
})
