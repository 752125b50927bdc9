import { McpServer, type ServerContext } from '@modelcontextprotocol/server'
import type { Caller, ClientCaller } from './call-context.ts'
import { callTool, type ToolServices } from './call-tool.ts'
import type { Tool } from './define-tool.ts'

/** What a server tells its clients about itself. */
export interface ServerIdentity {
  name: string
  version: string
  /** How the tools are meant to be used, for the model. */
  instructions?: string | undefined
}

/**
 * An SDK server for one request, or one stdio connection, on behalf of one caller: never shared, so that no
 * answer can reach somebody else (R160).
 */
export function createSdkServer(
  identity: ServerIdentity,
  tools: readonly Tool[],
  caller: Caller | ClientCaller | undefined,
  services: ToolServices,
): McpServer {
  const { name, version, instructions } = identity
  const server = new McpServer(
    { name, version },
    { ...(instructions !== undefined && { instructions }), capabilities: { tools: { listChanged: false } } },
  )
  for (const tool of tools) {
    const { title, description, input, output, annotations } = tool.description
    const config = {
      ...(title !== undefined && { title }),
      description,
      ...(output && { outputSchema: output }),
      ...(annotations && { annotations }),
    }
    const run = (args: unknown, context: ServerContext) =>
      callTool(tool, { input: args, caller, signal: context.mcpReq.signal }, services)
    if (input) server.registerTool(tool.name, { ...config, inputSchema: input }, run)
    else server.registerTool(tool.name, config, context => run({}, context))
  }
  return server
}
