import {
  type CallToolResult,
  classifyInboundRequest,
  type InputRequiredResult,
  isInputRequiredResult,
  isJsonContentType,
  PROTOCOL_VERSION_META_KEY,
  RELATED_TASK_META_KEY,
  type RequestId,
  SERVER_INFO_META_KEY,
  type ServerContext,
  SUPPORTED_PROTOCOL_VERSIONS,
} from '@modelcontextprotocol/server'
import { LRUCache } from 'lru-cache'
import type { CallServices } from './calls/perform.ts'
import type { ClientExchange } from './elicit/exchange.ts'
import type { Registry } from './registry.ts'
import { knowsTasks } from './tasks/tasks-extension.ts'
import type { Call, Caller, ClientCaller } from './tools/call-context.ts'
import { callTool } from './tools/call-tool.ts'
import type { Tool } from './tools/define-tool.ts'
import type { ServerIdentity } from './tools/server-identity.ts'

/** A call that is simple enough to be answered without the SDK's engine. */
export interface LeanCall {
  readonly tool: Tool
  readonly id: RequestId
  readonly params: Readonly<Record<string, unknown>>
  readonly era: Call['era']
}

/** How the engine joins a call that turned out to need it: by asking for the outcome in place of running the tool. */
export type Engine = (
  callTool: (context: ServerContext) => Promise<CallToolResult | InputRequiredResult>,
) => Promise<Response>

const modernRevision = '2026-07-28'

const legacyRevisions: ReadonlySet<string> = new Set(
  SUPPORTED_PROTOCOL_VERSIONS.filter(revision => revision < modernRevision),
)

/**
 * The call that a request is, when nothing about it is out of the ordinary; otherwise undefined, and the engine answers.
 * Nothing is refused here: what is wrong with a request is for the engine to say, so that there is one voice.
 */
export function readLeanCall({ headers }: Request, body: unknown, registry: Registry): LeanCall | undefined {
  if (!isRecord(body) || body.method !== 'tools/call' || body.jsonrpc !== '2.0') return undefined
  const { id, params } = body
  if (Object.keys(body).length !== 4 || !isRequestId(id) || !isRecord(params)) return undefined
  const { name, arguments: args, _meta: meta } = params
  if (typeof name !== 'string' || (args !== undefined && !isRecord(args))) return undefined
  if (meta !== undefined && !isPlainMeta(meta)) return undefined
  // Rounds of a longer exchange, and tasks.
  if ('inputResponses' in params || 'requestState' in params || 'task' in params) return undefined
  const tool = registry.tool(name)
  // Parameters in headers have to be compared; what is hidden has to look as if it did not exist.
  if (!tool?.enabled || tool.paramHeaders || tool.rule?.hidden) return undefined
  // What may become a task goes on when there is nobody left to answer.
  if (tool.task !== 'forbidden' && (tool.task === 'required' || knowsTasks({ params, era: 'modern' })))
    return undefined
  if (!isJsonContentType(headers.get('content-type'))) return undefined

  const version = headers.get('mcp-protocol-version')
  if (meta !== undefined && PROTOCOL_VERSION_META_KEY in meta) {
    if (meta[PROTOCOL_VERSION_META_KEY] !== modernRevision || version !== modernRevision) return undefined
    if (headers.get('mcp-method') !== 'tools/call' || headers.get('mcp-name') !== name) return undefined
    return isValidEnvelope(meta, body) ? { tool, id, params, era: 'modern' } : undefined
  }
  if (version !== null && !legacyRevisions.has(version)) return undefined
  // A session is more than one request.
  if (headers.get('mcp-session-id') !== null) return undefined
  return headers.get('accept')?.includes('application/json') === true
    ? { tool, id, params, era: 'legacy' }
    : undefined
}

/** Envelopes that the SDK took, as JSON: a client sends the same one with each request. */
const takenEnvelopes = new LRUCache<string, true>({ max: 1_000 })

function isValidEnvelope(meta: Record<string, unknown>, body: unknown): boolean {
  const key = JSON.stringify(meta)
  if (takenEnvelopes.has(key)) return true
  const route = classifyInboundRequest({ httpMethod: 'POST', protocolVersionHeader: modernRevision, body })
  if (route.kind !== 'modern') return false
  if (key.length <= maxKeptEnvelope) takenEnvelopes.set(key, true)
  return true
}

/** Characters. */
const maxKeptEnvelope = 2_000

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isRequestId = (id: unknown): id is RequestId => typeof id === 'string' || Number.isSafeInteger(id)

function isPlainMeta(meta: unknown): meta is Record<string, unknown> {
  if (!isRecord(meta)) return false
  const { progressToken } = meta
  if (RELATED_TASK_META_KEY in meta) return false
  return progressToken === undefined || isRequestId(progressToken)
}

/**
 * Answers a call directly. As soon as its handler sends something to the client, or asks it for something, the engine
 * takes over: the handler goes on where it is, and what it sends and returns goes through the engine.
 *
 * @returns the body of a JSON answer with status 200, or what the engine answers
 */
export function answerLean(
  lean: LeanCall,
  request: Request,
  caller: Caller | ClientCaller | undefined,
  options: {
    identity: ServerIdentity
    services: CallServices
    engine: Engine
    /** How the call asks its client. Undefined: it cannot. */
    exchange: ClientExchange | undefined
  },
): Promise<string | Response> {
  const { tool, id, era } = lean
  return new Promise((resolve, reject) => {
    let client: Promise<ServerContext> | undefined
    const handOver = () =>
      new Promise<ServerContext>((joined, failed) => {
        options
          .engine(context => {
            joined(context)
            return outcome
          })
          .then(response => {
            // What the engine refuses it does not run: the handler must not wait for it.
            if (response.status !== 200) failed(new Error('the way to the client could not be opened'))
            resolve(response)
          }, reject)
      })
    const call = new DirectCall(lean, request, caller, options.exchange, () => {
      client ??= handOver()
      return client
    })
    const outcome = callTool(tool, call, options.services)
    outcome.then(result => {
      if (client) return
      // The engine knows what a client of this era may be asked for.
      if (isInputRequiredResult(result)) {
        client = handOver()
        client.catch(() => {})
        return
      }
      resolve(directAnswer(era, id, result as CallToolResult, options.identity))
    }, reject)
  })
}

/** A class, because an object with a getter of its own costs more than the rest of a call. */
class DirectCall implements Call {
  readonly id: RequestId
  readonly method = 'tools/call'
  readonly params: Readonly<Record<string, unknown>>
  readonly era: Call['era']
  readonly caller: Call['caller']
  readonly exchange: ClientExchange | undefined
  readonly client: () => Promise<ServerContext>
  readonly #request: Request
  constructor(
    { id, params, era }: LeanCall,
    request: Request,
    caller: Call['caller'],
    exchange: ClientExchange | undefined,
    client: () => Promise<ServerContext>,
  ) {
    this.id = id
    this.params = params
    this.era = era
    this.caller = caller
    this.exchange = exchange
    this.client = client
    this.#request = request
  }
  // Made when somebody looks: most handlers never do.
  get signal() {
    return this.#request.signal
  }
}

/** The body of the very answer that the engine would give. */
function directAnswer(
  era: Call['era'],
  id: RequestId,
  result: CallToolResult,
  { info }: ServerIdentity,
): string {
  if (era === 'legacy') return JSON.stringify({ result, jsonrpc: '2.0', id })
  const _meta = {
    ...result._meta,
    [SERVER_INFO_META_KEY]: result._meta?.[SERVER_INFO_META_KEY] ?? info,
  }
  return JSON.stringify({ result: { ...result, resultType: 'complete', _meta }, jsonrpc: '2.0', id })
}
