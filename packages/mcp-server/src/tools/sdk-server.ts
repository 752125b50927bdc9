import {
  type CallToolResult,
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  type ServerCapabilities,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { uiExtension } from '../apps/tool-ui.ts'
import type { HeardChanges } from '../calls/changes.ts'
import { complete } from '../calls/complete.ts'
import type { Lists } from '../calls/lists.ts'
import { type CallServices, seesOffer } from '../calls/perform.ts'
import { sdkCall } from '../calls/sdk-call.ts'
import { createSubscriptions, type Subscriptions } from '../calls/subscriptions.ts'
import type { AskingRequest } from '../elicit/connection-asking.ts'
import type { ClientExchange } from '../elicit/exchange.ts'
import type { Offer } from '../offers.ts'
import { getPrompt } from '../prompts/get-prompt.ts'
import type { Registry } from '../registry.ts'
import { readResource } from '../resources/read-resource.ts'
import { serveTasks } from '../tasks/task-methods.ts'
import type { Tasks } from '../tasks/tasks.ts'
import { tasksExtension, tasksRequired } from '../tasks/tasks-extension.ts'
import type { Call, Caller, ClientCaller } from './call-context.ts'
import { callTool } from './call-tool.ts'
import type { ServerIdentity } from './server-identity.ts'
import { errorResult } from './tool-result.ts'

/** What every SDK server of one server is made of. */
export interface SdkServerParts {
  identity: ServerIdentity
  registry: Registry
  services: CallServices
  lists: Lists
  /** Calls that go on after they were answered. Default: none can. */
  tasks?: Tasks | undefined
}

/** What an SDK server is for. */
export interface SdkServerUse {
  /** Who calls. A session outlives tokens: what its requests bring with them (`callerOfRequest`) counts before this. */
  caller: Caller | ClientCaller | undefined
  era: 'modern' | 'legacy'
  /** Whether clients can hear of changes: through `subscriptions/listen`, or because the connection stays. */
  hearsChanges: boolean
  /** Where changes are told, when the connection stays: of a session, or over stdio. */
  changes?: HeardChanges | undefined
  /** Resources that the client follows. Default: they end with the connection. */
  subscriptions?: Subscriptions | undefined
  /** Answers `tools/call` in place of the registry: a call that has begun already. */
  callTool?: (context: ServerContext) => ReturnType<typeof callTool>
  /** Who calls, where no gate stands in front, or what they have to do first. Default: `caller`. */
  admit?: (request: { method: string; params?: object | undefined }) => Promise<Admission>
  /** How a call asks its client. Default: it cannot. */
  exchangeOf?: (
    context: ServerContext,
    request: AskingRequest,
  ) => ClientExchange | undefined | Promise<ClientExchange | undefined>
}

/** Who calls, or what the user has to do first. */
export type Admission = { caller: Caller | ClientCaller | undefined } | { problem: string }

/** What is announced: changes only where they can be told. */
export function capabilitiesOf(
  registry: Registry,
  { hearsChanges, hasTasks }: { hearsChanges: boolean; hasTasks: boolean },
): ServerCapabilities {
  const kinds = new Set<Offer['kind']>(registry.offers().map(({ kind }) => kind))
  const completes =
    registry.sources().some(({ placeholders }) => placeholders.some(({ kind }) => kind !== 'tool')) ||
    [...registry.prompts(), ...registry.templates()].some(({ complete }) => complete.size > 0)
  const hasViews = registry.tools().some(({ view }) => view !== undefined)
  return {
    tools: { listChanged: hearsChanges },
    ...(kinds.has('resource') && { resources: { listChanged: hearsChanges, subscribe: hearsChanges } }),
    ...(kinds.has('prompt') && { prompts: { listChanged: hearsChanges } }),
    ...(completes && { completions: {} }),
    logging: {},
    ...((hasTasks || hasViews) && {
      extensions: { ...(hasTasks && { [tasksExtension]: {} }), ...(hasViews && { [uiExtension]: {} }) },
    }),
  }
}

/**
 * An SDK server for one request, one session, or one stdio connection, on behalf of one caller: never shared between
 * callers, so that no answer can reach somebody else (R160).
 */
export function createSdkServer(parts: SdkServerParts, use: SdkServerUse): McpServer {
  const { registry, services, lists } = parts
  const { info, instructions } = parts.identity
  // Clients of the 2025 revisions have no way to know them.
  const tasks =
    use.era === 'modern' && registry.tools().some(({ task }) => task !== 'forbidden')
      ? parts.tasks
      : undefined
  const { hearsChanges } = use
  const capabilities = capabilitiesOf(registry, { hearsChanges, hasTasks: tasks !== undefined })
  const mcp = new McpServer(info, {
    ...(instructions !== undefined && { instructions }),
    capabilities,
  })
  const { server } = mcp
  const callOf = async (request: AnyRequest, context: ServerContext): Promise<Call> => {
    const { method, params } = request
    const { era } = use
    const caller = use.admit ? await admitted(use.admit, request) : (callerOfRequest(context) ?? use.caller)
    const asking = { method, params, caller, era, capabilities: server.getClientCapabilities() }
    const exchange = await use.exchangeOf?.(context, asking)
    return sdkCall(method, params as Call['params'], context, caller, era, exchange)
  }

  server.setRequestHandler('tools/list', async (request, context) =>
    lists.tools(await callOf(request, context)),
  )
  server.setRequestHandler('tools/call', async (request, context) => {
    if (use.callTool) return use.callTool(context)
    try {
      const call = await callOf(request, context)
      const tool = registry.tool(request.params.name)
      if (!tool || !(await seesOffer(tool, call.caller, services.hasScopes))) {
        throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Tool ${request.params.name} not found`)
      }
      if (tool.task === 'required' && !tasks) throw tasksRequired()
      const begun = await tasks?.begin(tool, call)
      return (begun as CallToolResult | undefined) ?? (await callTool(tool, call, services))
    } catch (error) {
      // The model reads results, and tells its user.
      if (error instanceof NotAdmitted) return errorResult(error.message)
      throw error
    }
  })
  if (tasks) serveTasks(mcp, tasks, callOf, error => services.log.error({ err: error }, 'tasks'))
  if (capabilities.resources) {
    server.setRequestHandler('resources/list', async (request, context) =>
      lists.resources(await callOf(request, context)),
    )
    server.setRequestHandler('resources/templates/list', async (request, context) =>
      lists.templates(await callOf(request, context)),
    )
    server.setRequestHandler('resources/read', async (request, context) => {
      const { uri } = request.params
      const call = await callOf(request, context)
      const found = registry.findResource(uri)
      if (!found || !(await seesOffer(found.resource, call.caller, services.hasScopes))) {
        throw new ResourceNotFoundError(uri)
      }
      return readResource(found, uri, call, services)
    })
  }
  if (capabilities.prompts) {
    server.setRequestHandler('prompts/list', async (request, context) =>
      lists.prompts(await callOf(request, context)),
    )
    server.setRequestHandler('prompts/get', async (request, context) => {
      const call = await callOf(request, context)
      const prompt = registry.prompt(request.params.name)
      if (!prompt || !(await seesOffer(prompt, call.caller, services.hasScopes))) {
        throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Prompt ${request.params.name} not found`)
      }
      return getPrompt(prompt, call, services)
    })
  }
  if (capabilities.completions) {
    server.setRequestHandler('completion/complete', async (request, context) =>
      complete(registry, await callOf(request, context), services),
    )
  }
  // The SDK compares `Mcp-Param-*` headers with what this says; it would ask its own registry, which is empty.
  mcp.toolInputSchemaJson = toolName => {
    const tool = registry.tool(toolName)
    return tool?.paramHeaders && tool.enabled ? { ...tool.input?.json } : undefined
  }
  if (use.changes) tellChanges(mcp, parts, use, use.changes)
  return mcp
}

/** Sends changes to a client for as long as it is connected. */
function tellChanges(
  mcp: McpServer,
  { registry, services }: SdkServerParts,
  { era, admit, subscriptions = createSubscriptions() }: SdkServerUse,
  changes: HeardChanges,
): void {
  const { server } = mcp
  const { resources } = server.getCapabilities()
  if (resources) {
    // Who may read it is asked before, at the gate or by `admit`: a subscription is judged as a reading.
    server.setRequestHandler('resources/subscribe', async (request, context) => {
      const { uri } = request.params
      const caller = admit ? await admitted(admit, request) : callerOfRequest(context)
      // R156: what is hidden is as unknown here as everywhere.
      if (!(await seesOffer(registry.findResource(uri)?.resource, caller, services.hasScopes))) {
        throw new ResourceNotFoundError(uri)
      }
      await subscriptions.add(uri)
      return {}
    })
    server.setRequestHandler('resources/unsubscribe', async ({ params: { uri } }) => {
      await subscriptions.delete(uri)
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
              era === 'modern' || subscriptions.has(event.uri)
              ? server.sendResourceUpdated({ uri: event.uri })
              : undefined
    sent?.catch(() => {})
  }, subscriptions)
  const { onclose } = server
  server.onclose = () => {
    stop()
    onclose?.()
  }
}

const callerOfRequest = ({ http }: ServerContext) =>
  http?.authInfo?.extra?.caller as Caller | ClientCaller | undefined

type AnyRequest = { method: string; params?: object | undefined }

/** A request that has to wait for its user. */
class NotAdmitted extends ProtocolError {
  constructor(problem: string) {
    super(ProtocolErrorCode.InvalidParams, problem)
  }
}

/** @throws {NotAdmitted} with what the user has to do first */
async function admitted(admit: NonNullable<SdkServerUse['admit']>, request: AnyRequest) {
  const admission = await admit(request)
  if ('problem' in admission) throw new NotAdmitted(admission.problem)
  return admission.caller
}
