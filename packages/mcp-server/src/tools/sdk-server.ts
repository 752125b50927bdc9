import { McpServer, type ServerContext } from '@modelcontextprotocol/server'
import type { ClientExchange } from '../elicit/exchange.ts'
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
 * An SDK server for one request, one session or one stdio connection, on behalf of one caller: never shared, so that
 * no answer can reach somebody else (R160).
 *
 * @param exchangeOf how a call asks its client. Default: it cannot
 */
export function createSdkServer(
  identity: ServerIdentity,
  tools: readonly Tool[],
  caller: Caller | ClientCaller | undefined,
  services: ToolServices,
  exchangeOf: (context: ServerContext) => ClientExchange | undefined = () => undefined,
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
      callTool(
        tool,
        {
          input: args,
          // A session outlives tokens: whose call it is, and with which scopes, is what its own request shows.
          caller: callerOfRequest(context) ?? caller,
          signal: context.mcpReq.signal,
          exchange: exchangeOf(context),
        },
        services,
      )
    if (input) server.registerTool(tool.name, { ...config, inputSchema: input }, run)
    else server.registerTool(tool.name, config, context => run({}, context))
  }
  return server
}

const callerOfRequest = ({ http }: ServerContext) =>
  http?.authInfo?.extra?.caller as Caller | ClientCaller | undefined
