import {
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  type ServerCapabilities,
  type ServerContext,
  type ServerEventBus,
} from '@modelcontextprotocol/server'
import { complete } from '../calls/complete.ts'
import type { Lists } from '../calls/lists.ts'
import { type CallServices, seesOffer } from '../calls/perform.ts'
import { sdkCall } from '../calls/sdk-call.ts'
import type { ClientExchange } from '../elicit/exchange.ts'
import { getPrompt } from '../prompts/get-prompt.ts'
import type { Registry } from '../registry.ts'
import { readResource } from '../resources/read-resource.ts'
import type { Call, Caller, ClientCaller } from './call-context.ts'
import { callTool } from './call-tool.ts'

/** What a server tells its clients about itself. */
export interface ServerIdentity {
  name: string
  version: string
  /** How the tools are meant to be used, for the model. */
  instructions?: string | undefined
}

/** What every SDK server of one server is made of. */
export interface SdkServerParts {
  identity: ServerIdentity
  registry: Registry
  services: CallServices
  lists: Lists
}

/** What an SDK server is for. */
export interface SdkServerUse {
  /** Who calls. A session outlives tokens: what its requests bring with them (`callerOfRequest`) counts before this. */
  caller: Caller | ClientCaller | undefined
  era: 'modern' | 'legacy'
  /** Whether clients can hear of changes: through `subscriptions/listen`, or because the connection stays. */
  hearsChanges: boolean
  /** Where changes are told, when the connection stays: of a session, or over stdio. */
  changes?: ServerEventBus | undefined
  /** Answers `tools/call` in place of the registry: a call that has begun already. */
  callTool?: (context: ServerContext) => ReturnType<typeof callTool>
  /** How a call asks its client. Default: it cannot. */
  exchangeOf?: (context: ServerContext) => ClientExchange | undefined
}

/** What is announced: changes only where they can be told. */
export function capabilitiesOf(registry: Registry, hearsChanges: boolean): ServerCapabilities {
  const offersResources = registry.resources().length + registry.templates().length > 0
  const completes = [...registry.prompts(), ...registry.templates()].some(({ complete }) => complete.size > 0)
  return {
    tools: { listChanged: hearsChanges },
    ...(offersResources && { resources: { listChanged: hearsChanges, subscribe: hearsChanges } }),
    ...(registry.prompts().length > 0 && { prompts: { listChanged: hearsChanges } }),
    ...(completes && { completions: {} }),
    logging: {},
  }
}

/**
 * An SDK server for one request, one session, or one stdio connection, on behalf of one caller: never shared between
 * callers, so that no answer can reach somebody else (R160).
 */
export function createSdkServer(parts: SdkServerParts, use: SdkServerUse): McpServer {
  const { registry, services, lists } = parts
  const { name, version, instructions } = parts.identity
  const capabilities = capabilitiesOf(registry, use.hearsChanges)
  const mcp = new McpServer(
    { name, version },
    { ...(instructions !== undefined && { instructions }), capabilities },
  )
  const { server } = mcp
  const callerIn = (context: ServerContext) => callerOfRequest(context) ?? use.caller
  const callOf = (request: { method: string; params?: object | undefined }, context: ServerContext): Call =>
    sdkCall(
      request.method,
      request.params as Call['params'],
      context,
      callerIn(context),
      use.era,
      use.exchangeOf?.(context),
    )

  server.setRequestHandler('tools/list', (request, context) => lists.tools(callOf(request, context)))
  server.setRequestHandler('tools/call', async (request, context) => {
    if (use.callTool) return use.callTool(context)
    const call = callOf(request, context)
    const tool = registry.tool(request.params.name)
    if (!tool || !(await seesOffer(tool, call.caller, services.hasScopes))) {
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Tool ${request.params.name} not found`)
    }
    return callTool(tool, call, services)
  })
  if (capabilities.resources) {
    server.setRequestHandler('resources/list', (request, context) =>
      lists.resources(callOf(request, context)),
    )
    server.setRequestHandler('resources/templates/list', (request, context) =>
      lists.templates(callOf(request, context)),
    )
    server.setRequestHandler('resources/read', async (request, context) => {
      const { uri } = request.params
      const found = registry.findResource(uri)
      if (!found || !(await seesOffer(found.resource, callerIn(context), services.hasScopes))) {
        throw new ResourceNotFoundError(uri)
      }
      return readResource(found, uri, callOf(request, context), services)
    })
  }
  if (capabilities.prompts) {
    server.setRequestHandler('prompts/list', (request, context) => lists.prompts(callOf(request, context)))
    server.setRequestHandler('prompts/get', async (request, context) => {
      const prompt = registry.prompt(request.params.name)
      if (!prompt || !(await seesOffer(prompt, callerIn(context), services.hasScopes))) {
        throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Prompt ${request.params.name} not found`)
      }
      return getPrompt(prompt, callOf(request, context), services)
    })
  }
  if (capabilities.completions) {
    server.setRequestHandler('completion/complete', (request, context) =>
      complete(registry, callOf(request, context), services),
    )
  }
  // The SDK compares `Mcp-Param-*` headers with what this says; it would ask its own registry, which is empty.
  mcp.toolInputSchemaJson = toolName => {
    const tool = registry.tool(toolName)
    return tool?.paramHeaders && tool.enabled ? { ...tool.input?.json } : undefined
  }
  if (use.changes) tellChanges(mcp, parts, use.era, use.changes)
  return mcp
}

/** Sends changes to a client for as long as it is connected. */
function tellChanges(
  mcp: McpServer,
  { registry }: SdkServerParts,
  era: SdkServerUse['era'],
  changes: ServerEventBus,
): void {
  const { server } = mcp
  const subscribed = new Set<string>()
  const { resources } = server.getCapabilities()
  if (resources) {
    // Who may read it was asked before, at the gate: a subscription is judged as a reading.
    server.setRequestHandler('resources/subscribe', ({ params: { uri } }) => {
      if (!registry.findResource(uri)) throw new ResourceNotFoundError(uri)
      subscribed.add(uri)
      return {}
    })
    server.setRequestHandler('resources/unsubscribe', ({ params: { uri } }) => {
      subscribed.delete(uri)
      return {}
    })
  }
  const stop = changes.subscribe(event => {
    if (!mcp.isConnected()) return
    const sent =
      event.kind === 'tools_list_changed'
        ? server.sendToolListChanged()
        : event.kind === 'prompts_list_changed'
          ? server.sendPromptListChanged()
          : event.kind === 'resources_list_changed'
            ? server.sendResourceListChanged()
            : // Since 2026-07-28 the SDK itself picks what a subscription asked for.
              era === 'modern' || subscribed.has(event.uri)
              ? server.sendResourceUpdated({ uri: event.uri })
              : undefined
    sent?.catch(() => {})
  })
  const { onclose } = server
  server.onclose = () => {
    stop()
    onclose?.()
  }
}

const callerOfRequest = ({ http }: ServerContext) =>
  http?.authInfo?.extra?.caller as Caller | ClientCaller | undefined
