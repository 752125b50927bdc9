import type { McpServer, StandardSchemaWithJSON, Tool as ToolListing } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import type { EventSink } from '@sallyport/oauth'
import type { InFlight } from '../in-flight.ts'
import type { Log } from '../log.ts'
import type { ToolServices } from './call-tool.ts'
import type { Tool } from './define-tool.ts'
import { isOpen } from './registry.ts'
import { createSdkServer, type ServerIdentity } from './sdk-server.ts'
import { ToolError } from './tool-error.ts'

/** A server on stdin and stdout. */
export interface StdioHandle {
  close(): Promise<void>
}

/**
 * Serves tools over stdio, where nobody is signed in: protected tools are not listed, and calling one says why.
 */
export function serveTools(
  identity: ServerIdentity,
  tools: readonly Tool[],
  emit: EventSink,
  log: Log,
  inFlight: InFlight,
): StdioHandle {
  const services: ToolServices = {
    providers: new Map(),
    connectLink: () => Promise.reject(new Error('nobody is signed in over stdio')),
    emit,
    log,
    now: () => performance.now(),
    track: inFlight.track,
  }
  const served = tools.map(tool => (isOpen(tool) ? tool : refusing(tool)))
  return serveStdio(() => hideProtected(createSdkServer(identity, served, undefined, services), tools), {
    onerror: error => log.debug({ err: error }, 'mcp'),
  })
}

/** A stand-in that takes any input, so that what comes back is the reason and not a complaint about arguments. */
function refusing({ name, description: { description } }: Tool): Tool {
  return {
    name,
    description: { description },
    rule: undefined,
    run: () => {
      throw new ToolError(`"${name}" needs a signed-in user, and over stdio nobody is: connect over HTTP.`)
    },
  }
}

function hideProtected(server: McpServer, tools: readonly Tool[]): McpServer {
  server.server.setRequestHandler('tools/list', () => ({ tools: tools.filter(isOpen).map(listing) }))
  return server
}

function listing({
  name,
  description: { title, description, input, output, annotations },
}: Tool): ToolListing {
  return {
    name,
    description,
    ...(title !== undefined && { title }),
    inputSchema: input ? jsonSchema(input, 'input') : { type: 'object' },
    ...(output && { outputSchema: jsonSchema(output, 'output') }),
    ...(annotations && { annotations }),
  }
}

const jsonSchema = (schema: StandardSchemaWithJSON, side: 'input' | 'output') =>
  schema['~standard'].jsonSchema[side]({ target: 'draft-2020-12' }) as ToolListing['inputSchema']
