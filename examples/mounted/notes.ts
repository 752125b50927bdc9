import { createServer, developmentSignIn } from '@sallyport/mcp-server'
import { z } from 'zod'

/** The MCP server that the three applications of this folder have inside. */
export const server = createServer({
  name: 'notes',
  version: '1.0.0',
  signIn: developmentSignIn(),
  scopes: { 'notes:write': 'Add notes to your notebook' },
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

/** Where the applications listen, and what the public URL derives from unless PUBLIC_URL is set. */
export const port = Number(process.env.PORT || 3000)
