import { randomBytes } from 'node:crypto'
import { createMemoryStore, createServer, developmentSignIn } from '@sallyport/mcp-server'
import { z } from 'zod'
import { createTestClient } from '../../packages/mcp-server/src/sign-in.fixture.ts'
import type { Contender } from './contender.ts'

/** Ours, as a developer writes it: each tool protected, nothing left out. */
export async function createSallyport(tools: number): Promise<Contender> {
  const server = createServer({
    name: 'bench',
    version: '1.0.0',
    port: 0,
    signIn: developmentSignIn(),
    signingAlgorithm: 'RS256',
    secrets: randomBytes(48).toString('base64'),
    store: createMemoryStore({ tenant: 'default' }),
    environment: {},
    logLevel: 'error',
  })
  for (let index = 0; index < tools; index++) {
    server.tool(`tool-${index}`, {
      description: 'Says what it is told',
      input: z.object({ text: z.string() }),
      auth: {},
      run: ({ text }) => text,
    })
  }
  await server.start({ silent: true, throwOnError: true })
  const { origin, port } = new URL(server.url)
  const client = createTestClient(request => fetch(request, { redirect: 'manual' }), origin)
  const { access_token: token } = await client.signIn()
  return { port: Number(port), token: String(token), close: () => server.close() }
}
