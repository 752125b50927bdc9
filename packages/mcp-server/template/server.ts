import { createServer, developmentSignIn } from '@sallyport/mcp-server'
import { z } from 'zod'

export const server = createServer({
  name: 'my-server',
  version: '0.1.0',
  // Anybody on this machine signs in, under any name. For everybody else: google(), oidc() … of @sallyport/providers.
  signIn: developmentSignIn(),
  scopes: { 'notes:write': 'Add notes to your notebook' },
})

server.tool('greet', {
  description: 'Greets somebody by name. Public: needs no sign-in.',
  input: z.object({ name: z.string() }),
  run: ({ name }) => `Hello, ${name}!`,
})

const notebooks = new Map<string, string[]>()

server.tool('add-note', {
  description: 'Adds a note to your notebook, which lasts until the server stops.',
  input: z.object({ text: z.string().min(1) }),
  auth: { scopes: ['notes:write'] },
  run: ({ text }, { caller }) => {
    const notes = [...(notebooks.get(caller.userId) ?? []), text]
    notebooks.set(caller.userId, notes)
    return `Note ${notes.length} is saved.`
  },
})

server.resource('notebook://mine', {
  title: 'Your notebook',
  auth: {},
  run: (_, { caller }) => notebooks.get(caller.userId) ?? [],
})

server.prompt('sum-up', {
  description: 'Sums your notebook up',
  run: () => 'Read notebook://mine and sum it up in one sentence.',
})
