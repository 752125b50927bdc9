import { createServer, developmentSignIn } from '@sallyport/mcp-server'
import { oidc } from '@sallyport/providers'
import { z } from 'zod'
import { createDemoProvider } from './demo-provider.ts'

const publicUrl = process.env.PUBLIC_URL ?? `http://localhost:${process.env.PORT ?? 3000}`

// A stand-in for Google, so that nothing has to be registered anywhere to see a provider token at work.
const demo = await createDemoProvider({
  issuer: `${publicUrl}/demo`,
  redirectUri: `${publicUrl}/oauth/callback/demo`,
  directory: process.env.SALLYPORT_DIR ?? '.sallyport',
})

export const server = createServer({
  name: 'quickstart',
  version: '1.0.0',
  signIn: developmentSignIn(),
  providers: [
    oidc({
      id: 'demo',
      label: 'Demo Cloud',
      issuer: demo.issuer,
      clientId: demo.clientId,
      clientSecret: demo.clientSecret,
      apiOrigins: [publicUrl],
    }),
  ],
  scopes: { 'notes:write': 'Add notes to your notebook' },
})

server.tool('add', {
  description: 'Adds two numbers. Public: needs no sign-in.',
  input: z.object({ a: z.number(), b: z.number() }),
  run: ({ a, b }) => `${a + b}`,
})

server.tool('whoami', {
  description: 'Tells who you are signed in as.',
  auth: {},
  run: (_, { caller }) => ({ userId: caller.userId, scopes: caller.scopes }),
})

const notebooks = new Map<string, string[]>()
server.tool('add-note', {
  description: 'Adds a note to your notebook, which lasts until the server stops.',
  input: z.object({ text: z.string().min(1).max(2000) }),
  auth: { scopes: ['notes:write'] },
  run: ({ text }, { caller }) => {
    const notes = [...(notebooks.get(caller.userId) ?? []), text]
    notebooks.set(caller.userId, notes)
    return `Saved. Your notebook has ${notes.length} ${notes.length === 1 ? 'note' : 'notes'}.`
  },
})

server.tool('my-profile', {
  description: 'Reads your profile at Demo Cloud, with your own token there, refreshed when it is stale.',
  auth: { demo: ['profile'] },
  run: async (_, { fetch }) => (await fetch(`${demo.issuer}/api/profile`)).json(),
})

server.app.route('/demo', demo.app)
await server.start()
