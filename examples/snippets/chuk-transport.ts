// #region file
import { createServer } from '@sallyport/mcp-server'
import { z } from 'zod'

const server = createServer({ name: 'greeter', version: '1.0.0' })

server.tool('greet', {
  description: 'Greets somebody by name',
  input: z.object({ name: z.string() }),
  run: ({ name }) => `Hello, ${name}!`,
})

await server.start()
// #endregion file
