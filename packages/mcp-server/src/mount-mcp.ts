import {
  createMcpHandler,
  isLegacyRequest,
  type McpServerFactory,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server'
import { type Clock, StoreUnavailableError } from '@sallyport/oauth'
import type { BearerGate } from './bearer-gate.ts'
import { encodedResponse, tooLargeResponse } from './body-limit.ts'
import type { GuardedChanges } from './calls/changes.ts'
import type { ClientExchange } from './elicit/exchange.ts'
import type { OpenRound } from './elicit/open-round.ts'
import { createUrlRequiredExchange } from './elicit/url-required.ts'
import { type InBandChallenges, inBandAnswer } from './in-band-challenge.ts'
import { jsonHeaders, jsonResponse } from './json-response.ts'
import { answerLean, readLeanCall } from './lean-call.ts'
import { createListening, maxListening } from './listening.ts'
import { challengesForTasks, judgeOperation, maxSubscriptions, taskOperation } from './operation.ts'
import { isPlainEncoding, parseJson, readBody } from './read-body.ts'
import type { Sessions } from './sessions/sessions.ts'
import { listensUnaware, taskAskedFor, withoutContent } from './tasks/task-methods.ts'
import { listenToTasks } from './tasks/task-notifications.ts'
import { tasksRequired } from './tasks/tasks-extension.ts'
import type { Caller, ClientCaller } from './tools/call-context.ts'
import { createSdkServer, type SdkServerParts, type SdkServerUse } from './tools/sdk-server.ts'

/** The MCP endpoint. */
export interface McpEndpoint {
  handle(request: Request): Promise<Response>
  /**
   * Answers a POST whose body was read, and is within its limit.
   *
   * @returns the body of a JSON answer with status 200, or any other answer
   */
  call(request: Request, bytes: Uint8Array): Promise<string | Response>
  /** Waits for no person any more: calls that asked one end. */
  stopAsking(): void
  /** Ends streams and calls of a sign-in that was revoked (R157). */
  endGrant(grantId: string): void
  /** Ends subscriptions and aborts what still runs. */
  close(): Promise<void>
}

/**
 * Streamable HTTP for 2026-07-28 and the 2025 revisions on one endpoint. A request is read once, judged by its
 * body, let through the gate, and only then reaches the SDK, with a server object of its own or of its session (R160).
 */
export function createMcpEndpoint(options: {
  parts: SdkServerParts
  changes: GuardedChanges
  gate: BearerGate
  sessions: Sessions
  openRound: OpenRound
  stopAsking: () => void
  clock: Clock
  /** Answers calls that need no stream without the SDK's engine. */
  leanCalls: boolean
  challengeOnConnect: boolean
  inBandChallenges: InBandChallenges
  maxBodyBytes: number
  onError: (error: Error) => void
}): McpEndpoint {
  const { parts, changes, gate, sessions, openRound, clock, onError } = options
  const factory: McpServerFactory = ({ authInfo, era }) => {
    const { caller, callTool, exchange } = (authInfo?.extra ?? {}) as Partial<SdkAuthInfo['extra']>
    return createSdkServer(parts, {
      caller,
      era,
      hearsChanges: era === 'modern',
      ...(callTool && { callTool }),
      exchangeOf: () => exchange,
    })
  }
  const handler = createMcpHandler(factory, {
    legacy: 'stateless',
    bus: changes,
    maxSubscriptions: maxListening,
    onerror: onError,
  })
  const listening = createListening({ clock })

  /** @param ongoing a call that has begun, whose outcome the SDK is to send */
  async function serveBySdk(
    request: Request,
    body: unknown,
    caller: Caller | ClientCaller | undefined,
    ongoing: SdkServerUse['callTool'],
  ): Promise<Response> {
    const authInfo = sdkAuthInfo(caller, ongoing)
    const inner = withoutCredentials(request)
    const isPost = request.method === 'POST'
    if (isListening(body) && listensUnaware(body)) return tasksUnknown(body)
    if (isListening(body) && isTooMuch(followedBy(body))) return tooMuchFollowed(body)
    if (await isLegacyRequest(inner, body)) {
      const answer = ongoing ? undefined : await sessions.handle(inner, body, caller, authInfo)
      if (answer instanceof Response) return answer
      if (answer) authInfo.extra.exchange = createUrlRequiredExchange(answer.capabilities)
      if (isPost && !acceptsStream(request)) return answerInJson(factory, inner, body, authInfo)
    } else if (isPost && !ongoing) {
      const round = await openRound(body, caller, request.signal)
      if (round === 'refused') return stateRefused(body)
      authInfo.extra.exchange = round
    }
    const serve = (own: Request, parsedBody: unknown) =>
      changes.onBehalfOf(caller, followedBy(parsedBody), () =>
        handler.fetch(own, { authInfo, ...(isPost && { parsedBody }) }),
      )
    if (!isListening(body)) {
      const response = await serve(inner, body)
      return mayBeTask(body) ? withoutContent(response) : response
    }
    return listening.serve(caller, ended => {
      const own = new Request(inner, { signal: AbortSignal.any([inner.signal, ended]) })
      return listenToTasks(body, caller, parts.tasks, parsedBody => serve(own, parsedBody))
    })
  }

  const mayBeTask = (body: unknown): boolean => {
    const { method, params } = (body ?? {}) as { method?: unknown; params?: { name?: unknown } }
    const tool = method === 'tools/call' ? parts.registry.tool(String(params?.name)) : undefined
    return tool !== undefined && tool.task !== 'forbidden'
  }

  const judgesTasks = challengesForTasks(parts.registry)
  /** R156: what a request about a task needs is what its tool needs, and only its caller has such a task. */
  const furtherOperation = (body: unknown) => {
    const taskId = judgesTasks ? taskAskedFor(body) : undefined
    if (taskId === undefined) return undefined
    return async (caller: Caller | ClientCaller) => {
      try {
        const tool = await parts.tasks?.toolOf(caller, taskId)
        return tool && taskOperation(tool, options.challengeOnConnect)
      } catch (error) {
        // It is judged once more where it is answered, or cannot be.
        if (error instanceof StoreUnavailableError) return undefined
        throw error
      }
    }
  }

  async function answer(request: Request, bytes: Uint8Array | undefined): Promise<string | Response> {
    const body = bytes && parseJson(bytes)
    const passed = await gate(
      request,
      judgeOperation(body, parts.registry, options.challengeOnConnect),
      furtherOperation(body),
    )
    if ('response' in passed) {
      const { identity } = parts
      return (
        inBandAnswer(request, body, passed, { clients: options.inBandChallenges, identity }) ??
        passed.response
      )
    }
    if (bytes && body === undefined) {
      const error = { code: -32700, message: 'Parse error: send one JSON-RPC message.' }
      return jsonResponse({ jsonrpc: '2.0', id: null, error }, 400)
    }
    const { caller } = passed
    const serve = (ongoing?: SdkServerUse['callTool']) => serveBySdk(request, body, caller, ongoing)
    const lean = options.leanCalls && bytes ? readLeanCall(request, body, parts.registry) : undefined
    if (!lean) return serve()
    // Who calls in the 2025 way without a session has nothing to be asked over.
    const round = lean.era === 'modern' ? await openRound(body, caller, request.signal) : undefined
    if (round === 'refused') return stateRefused(body)
    return answerLean(lean, request, caller, { ...parts, engine: serve, exchange: round })
  }

  return {
    async handle(request) {
      const isPost = request.method === 'POST'
      if (isPost && !isPlainEncoding(request)) return encodedResponse()
      const bytes = isPost ? await readBody(request, options.maxBodyBytes) : undefined
      if (isPost && !bytes) return tooLargeResponse()
      const answered = await answer(request, bytes)
      return typeof answered === 'string' ? new Response(answered, { headers: jsonHeaders }) : answered
    },
    call: answer,
    stopAsking: options.stopAsking,
    endGrant(grantId) {
      sessions.endGrant(grantId)
      listening.endGrant(grantId)
    },
    async close() {
      await sessions.close()
      await handler.close()
    },
  }
}

type SdkAuthInfo = ReturnType<typeof sdkAuthInfo>

/**
 * How a request reaches the server object that is made for it. The SDK asks for a token string; nothing behind the gate
 * needs it, so nothing behind the gate gets it (R158).
 */
const sdkAuthInfo = (
  caller: Caller | ClientCaller | undefined,
  callTool: SdkServerUse['callTool'] | undefined,
) => ({
  token: '',
  clientId: caller?.clientId ?? '',
  scopes: [...(caller?.scopes ?? [])],
  ...(caller && { expiresAt: caller.expiresAt }),
  extra: { caller, callTool, exchange: undefined as ClientExchange | undefined },
})

const isListening = (body: unknown): boolean =>
  (body as { method?: unknown } | null | undefined)?.method === 'subscriptions/listen'

/** Resources whose changes a request asks to hear of. */
function followedBy(body: unknown): string[] {
  const { params } = (body ?? {}) as { params?: { notifications?: { resourceSubscriptions?: unknown } } }
  const uris = params?.notifications?.resourceSubscriptions
  return Array.isArray(uris) ? uris.filter(uri => typeof uri === 'string') : []
}

/** How long all addresses that a request follows may be together, in characters: they are held while it listens. */
const maxFollowedLength = 131_072

const isTooMuch = (uris: readonly string[]): boolean =>
  uris.length > maxSubscriptions || uris.reduce((sum, { length }) => sum + length, 0) > maxFollowedLength

/** The request as the SDK sees it: without body, which was read, and without what proves who sent it (R158). */
function withoutCredentials(request: Request): Request {
  const headers = new Headers(request.headers)
  for (const name of [
    'authorization',
    'dpop',
    'cookie',
    'proxy-authorization',
    'content-length',
    'transfer-encoding',
  ]) {
    headers.delete(name)
  }
  return new Request(request.url, { method: request.method, headers, signal: request.signal })
}

const acceptsStream = (request: Request) =>
  request.headers.get('accept')?.includes('text/event-stream') === true

/**
 * 2025-era scripts that accept JSON only get JSON; the SDK's stateless serving answers them 406, and everybody
 * else as a stream.
 */
async function answerInJson(
  factory: McpServerFactory,
  request: Request,
  body: unknown,
  authInfo: SdkAuthInfo,
): Promise<Response> {
  const accepting = new Request(request, { headers: new Headers(request.headers) })
  accepting.headers.set('accept', 'application/json, text/event-stream')
  const server = await factory({ era: 'legacy', authInfo })
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true })
  await server.connect(transport)
  try {
    return await transport.handleRequest(accepting, { parsedBody: body, authInfo })
  } finally {
    await server.close()
  }
}

/** A client that wants to hear of tasks has to say that it knows them. */
const tasksUnknown = (body: unknown): Response => {
  const { code, message, data } = tasksRequired()
  const error = { code, message, data }
  return jsonResponse({ jsonrpc: '2.0', id: (body as { id?: unknown }).id ?? null, error }, 400)
}

const tooMuchFollowed = (body: unknown): Response => {
  const error = { code: -32602, message: `Too many resources to follow: ${maxSubscriptions} at most.` }
  return jsonResponse({ jsonrpc: '2.0', id: (body as { id?: unknown }).id ?? null, error }, 400)
}

/** What the SDK answers to a state that is not its own; who sent it learns no more (R161). */
const stateRefused = (body: unknown): Response =>
  jsonResponse({
    jsonrpc: '2.0',
    id: (body as { id?: unknown }).id ?? null,
    error: {
      code: -32602,
      message: 'Invalid or expired requestState',
      data: { reason: 'invalid_request_state' },
    },
  })
