import {
  type CallToolResult,
  type InputRequiredResult,
  isInputRequiredResult,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/server'
import { type EventSink, StoreUnavailableError } from '@sallyport/oauth'
import { ClientCapabilityError } from '../elicit/client-capability-error.ts'
import { type ClientExchange, type NeedOf, noExchange } from '../elicit/exchange.ts'
import { ConnectionRequiredError, ProviderUnavailableError } from '../provider.ts'
import {
  type Caller,
  type ClientCaller,
  createCallContext,
  type NamedProvider,
  type ToolLog,
} from './call-context.ts'
import type { Tool } from './define-tool.ts'
import { knownCause } from './known-cause.ts'
import { ToolError } from './tool-error.ts'
import { errorResult, toolResult } from './tool-result.ts'

/** What calls of all tools share. */
export interface ToolServices {
  providers: ReadonlyMap<string, NamedProvider>
  /** A single-use link with which this user, and nobody else, connects a provider. */
  connectLink(request: { userId: string; providerId: string; scopes: readonly string[] }): Promise<string>
  emit: EventSink
  log: ToolLog & { child(fields: object): ToolLog }
  /** Milliseconds that only go forward, for durations. */
  now(): number
  /** Runs for as long as the call does, so that a server that stops lets it finish (R201). */
  track<T>(work: Promise<T>): Promise<T>
}

/** One call of a tool. */
export interface ToolCall {
  input: unknown
  caller: Caller | ClientCaller | undefined
  signal: AbortSignal
  /** How the client is asked. Default: it cannot be. */
  exchange?: ClientExchange | undefined
}

/**
 * Calls one tool; whatever happens in it becomes a result, or a result that asks the client for input. Input was
 * validated before.
 *
 * @throws {UrlElicitationRequiredError} when that is how the exchange asks the client
 */
export async function callTool(
  tool: Tool,
  call: ToolCall,
  services: ToolServices,
): Promise<CallToolResult | InputRequiredResult> {
  const startedAt = services.now()
  const caller = callerFor(tool, call.caller)
  const result = await services.track(attempt(tool, { ...call, caller }, services))
  // The call goes on with the client's next request.
  if (isInputRequiredResult(result)) return result
  services.emit({
    type: 'tool_called',
    tool: tool.name,
    ...(call.caller && { userId: call.caller.userId ?? `client:${call.caller.clientId}` }),
    ok: result.isError !== true,
    durationMs: Math.round(services.now() - startedAt),
  })
  return result
}

/**
 * Whom the tool meets. R115: a tool that was not made for clients by themselves takes every caller for a user; to it,
 * such a client is nobody, and gets what everybody gets.
 */
function callerFor(
  { rule }: Tool,
  caller: Caller | ClientCaller | undefined,
): Caller | ClientCaller | undefined {
  return caller?.principal === 'client' && !rule?.clients ? undefined : caller
}

async function attempt(
  tool: Tool,
  { input, caller, signal, exchange = noExchange }: ToolCall,
  services: ToolServices,
): Promise<CallToolResult | InputRequiredResult> {
  // The gate has judged this call already. A second look costs nothing and holds if a way around it is found.
  if (!mayCall(tool, caller)) return errorResult('Sign in with the access this tool needs, then try again.')
  const log = services.log.child({ tool: tool.name })
  const needOf = createNeedOf(tool, caller, services)
  const context = createCallContext({
    toolName: tool.name,
    rule: tool.rule,
    caller,
    providers: services.providers,
    signal,
    log,
    exchange,
    needOf,
  })
  try {
    const waiting = await exchange.begin(needOf)
    if (waiting) return waiting
    const value = await tool.run(input, context)
    return (await exchange.finish()) ?? toolResult(value, tool.description.output !== undefined)
  } catch (error) {
    const cause = knownCause(error)
    if (cause instanceof UrlElicitationRequiredError) throw cause
    const unanswered = await exchange.finish(cause)
    if (unanswered) return unanswered
    const known = await knownFailure(cause, needOf, services)
    if (known !== undefined) return errorResult(known)
    // The reason is for the developer; the caller gets nothing of it (R189).
    log.error({ err: error }, 'tool failed')
    return errorResult('The tool failed for a reason of its own. The server has logged it.')
  }
}

function mayCall({ rule }: Tool, caller: Caller | ClientCaller | undefined): boolean {
  if (!rule) return true
  return caller ? rule.scopes.every(scope => caller.scopes.includes(scope)) : rule.anonymous
}

/** Text for the failures that somebody can do something about. */
async function knownFailure(
  error: unknown,
  needOf: NeedOf,
  services: ToolServices,
): Promise<string | undefined> {
  if (error instanceof ToolError || error instanceof ClientCapabilityError) return error.message
  if (error instanceof StoreUnavailableError) return 'The server cannot answer now. Try again in a moment.'
  if (error instanceof ProviderUnavailableError) {
    const { retryAfterSeconds: seconds } = error
    const when =
      seconds === undefined ? 'in a moment' : `in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}`
    return `${labelOf(error.provider, services)} cannot be reached now. Try again ${when}.`
  }
  const need = error instanceof ConnectionRequiredError ? needOf(error) : undefined
  return need && `${need.message} Open this link in a browser, then try again: ${await need.link()}`
}

/** What links can mend: accounts of a signed-in user, at providers of this server. */
const createNeedOf =
  (tool: Tool, caller: Caller | ClientCaller | undefined, services: ToolServices): NeedOf =>
  error => {
    const provider = services.providers.get(error.provider)
    if (caller?.principal !== 'user' || !provider) return undefined
    const { userId } = caller
    const scopes = [...new Set([...(tool.rule?.providers.get(error.provider) ?? []), ...error.scopes])]
    return {
      error,
      label: provider.label,
      message: why[error.reason](provider.label),
      link: () => services.connectLink({ userId, providerId: error.provider, scopes }),
      isConnected: () => provider.connected.isConnected(userId, scopes),
    }
  }

const why: Record<ConnectionRequiredError['reason'], (label: string) => string> = {
  not_connected: label => `Your ${label} account is not connected.`,
  missing_scope: label => `Your ${label} account has not allowed what this needs.`,
  dead: label => `The connection to your ${label} account has ended.`,
}

const labelOf = (id: string, { providers }: ToolServices) => providers.get(id)?.label ?? id
