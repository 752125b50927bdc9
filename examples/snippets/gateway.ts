import { createServer } from '@sallyport/mcp-server'
import { github } from '@sallyport/providers'

/** A gateway to GitHub's own MCP server, for users signed in here. */
export function createGateway() {
  const server = createServer({ name: 'gateway', version: '1.0.0', signIn: github() })
  // #region provider
  server.proxy({
    url: 'https://api.githubcopilot.com/mcp/',
    prefix: 'github',
    credentials: { provider: 'github', scopes: ['repo'] },
  })
  // #endregion provider
  // #region command
  server.proxy({
    command: 'npx',
    args: ['-y', '@modelcontextprotocol/server-everything'],
    env: { LEVEL: 'quiet' },
    prefix: 'everything',
    auth: {},
  })
  // #endregion command
  return server
}
