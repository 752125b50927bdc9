/** A server on stdio, as a client starts it: with our own authorization server, or with the issuer `E2E_ISSUER`. */
import {
  createServer,
  developmentSignIn,
  type Provider,
  type ServerOptions,
  type SignIn,
} from '@sallyport/mcp-server'
import { serveStdio } from '@sallyport/mcp-server/stdio'
import { oidc } from '@sallyport/providers'
import { z } from 'zod'
import { profileUrl } from './messages.ts'

const { E2E_ISSUER: issuer, E2E_CLOUD = '{}' } = process.env
const cloud = JSON.parse(E2E_CLOUD) as { issuer?: string; apiOrigin?: string; clientSecret?: string }

const options: ServerOptions<SignIn, readonly Provider[], string, string> = {
  name: 'Notebook',
  version: '1',
  ...(issuer === undefined ? { signIn: developmentSignIn() } : { issuer }),
  ...(cloud.issuer !== undefined && {
    providers: [
      oidc({
        id: 'cloud',
        label: 'Test Cloud',
        issuer: cloud.issuer,
        clientId: 'sallyport-e2e',
        clientSecret: cloud.clientSecret ?? '',
        scopes: ['profile', 'email'],
        apiOrigins: [cloud.apiOrigin ?? ''],
      }),
    ],
  }),
}
const server = createServer(options)

server.tool('add', {
  description: 'Adds two numbers. Public.',
  input: z.object({ a: z.number(), b: z.number() }),
  run: ({ a, b }) => `${a + b}`,
})
server.tool('whoami', {
  description: 'Tells who is signed in.',
  auth: {},
  run: (_, { caller }) => JSON.stringify(caller),
})
server.tool('read-notes', {
  description: 'Reads your notes.',
  auth: { scopes: ['notes.read'] },
  run: () => 'notes',
})
server.tool('plan', {
  description: 'Plans your work: asks you, your model and your folders. Public.',
  run: async (_, { elicit, sample, roots }) => {
    const { action, content } = await elicit({
      message: 'What first?',
      schema: z.object({ task: z.string() }),
    })
    const question = { type: 'text' as const, text: `How to ${content?.task}?` }
    const { model } = await sample({ messages: [{ role: 'user', content: question }], maxTokens: 50 })
    const folders = await roots()
    return JSON.stringify([action, content?.task, model, folders.map(({ uri }) => uri)])
  },
})
if (cloud.issuer !== undefined) {
  server.tool('my-profile', {
    description: 'Reads your profile in the cloud.',
    auth: { cloud: ['profile'] },
    run: async (_, { fetch }) => (await fetch(profileUrl(cloud.apiOrigin ?? ''))).text(),
  })
}
await serveStdio(server)
