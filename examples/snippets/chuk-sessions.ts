import { createServer } from '@sallyport/mcp-server'
import { z } from 'zod'

// The code that docs/migrate-from-chuk.md shows about sessions, compiled and run by chuk-sessions.test.ts.

// #region sessions
const server = createServer({
  name: 'sessions',
  version: '1.0.0',
  sessions: { when: 'needed', total: 1000, idleSeconds: 3600 },
})
// #endregion sessions

server.tool('ask', {
  description: 'Asks for a name',
  run: async (_, { elicit }) => {
    const { content } = await elicit({ message: 'Your name?', schema: z.object({ name: z.string() }) })
    return content?.name
  },
})

export { server }
