// An MCP server on stdio, of SDK 1.x, that a Sallyport server starts as its own child.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'

const server = new McpServer({ name: 'child', version: '1' })
server.registerTool('environment', { description: 'Names what it finds in its environment' }, () => ({
  content: [{ type: 'text', text: Object.keys(process.env).sort().join() }],
}))
server.registerTool('end', { description: 'Ends the process' }, () => {
  setImmediate(() => process.exit(1))
  return { content: [] }
})
await server.connect(new StdioServerTransport())
