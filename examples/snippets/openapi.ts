import { createServer } from '@sallyport/mcp-server'
import { openApiTools } from '@sallyport/mcp-server/openapi'
import { google } from '@sallyport/providers'

/** Makes a server of an API's own description. */
export async function serveApi(document: object) {
  const server = createServer({ name: 'drive', version: '1.0.0', signIn: google() })
  // #region openapi
  const tools = await openApiTools(document, {
    provider: 'google',
    include: ({ method }) => method === 'GET',
  })
  for (const [name, tool] of Object.entries(tools)) server.tool(name, tool)
  // #endregion openapi
  return server
}
