import {
  createMcpHandler,
  isLegacyRequest,
  type McpServerFactory,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server'
import type { BearerGate } from './bearer-gate.ts'
import { encodedResponse, tooLargeResponse } from './body-limit.ts'
import type { ClientExchange } from './elicit/exchange.ts'
import type { OpenRound } from './elicit/open-round.ts'
import { createUrlRequiredExchange } from './elicit/url-required.ts'
import { jsonResponse } from './json-response.ts'
import { judgeOperation } from './operation.ts'
import { isPlainEncoding, parseJson, readBody } from './read-body.ts'
import type { Sessions } from './sessions/sessions.ts'
import type { Caller, ClientCaller } from './tools/call-context.ts'
import type { ToolServices } from './tools/call-tool.ts'
import type { ToolRegistry } from './tools/registry.ts'
import { createSdkServer, type ServerIdentity } from './tools/sdk-server.ts'

/** The MCP endpoint. */
export interface McpEndpoint {
  handle(request: Request): Promise<Response>
  /** Waits for no person any more: calls that asked one end. */
  stopAsking(): void
  /** Ends subscriptions and aborts what still runs. */
  close(): Promise<void>
}

/**
 * Streamable HTTP for 2026-07-28 and the 2025 revisions on one endpoint. A request is read once, judged by its
 * body, let through the gate, and only then reaches the SDK, with a server object of its own or of its session (R160).
 */
export function createMcpEndpoint(options: {
  identity: ServerIdentity
  tools: ToolRegistry
  services: ToolServices
  gate: BearerGate
  sessions: Sessions
  openRound: OpenRound
  stopAsking: () => void
  challengeOnConnect: boolean
  maxBodyBytes: number
  onError: (error: Error) => void
}): McpEndpoint {
  const { identity, tools, services, gate, sessions, openRound, onError } = options
  /** How calls of 2026-07-28 ask their client, until their server object is made. */
  const rounds = new WeakMap<Request, ClientExchange>()
  const factory: McpServerFactory = ({ authInfo, requestInfo }) =>
    createSdkServer(
      identity,
      tools.list(),
      authInfo?.extra?.caller as Caller | ClientCaller | undefined,
      services,
      () => requestInfo && rounds.get(requestInfo),
    )
  const handler = createMcpHandler(factory, { legacy: 'stateless', onerror: onError })

  return {
    async handle(request) {
      const isPost = request.method === 'POST'
      if (isPost && !isPlainEncoding(request)) return encodedResponse()
      const bytes = isPost ? await readBody(request, options.maxBodyBytes) : new Uint8Array()
      if (!bytes) return tooLargeResponse()
      const body = isPost ? parseJson(bytes) : undefined
      const passed = await gate(request, judgeOperation(body, tools, options.challengeOnConnect))
      if ('response' in passed) return passed.response
      if (isPost && body === undefined) {
        return jsonResponse(
          {
            jsonrpc: '2.0',
            id: null,
            error: { code: -32700, message: 'Parse error: send one JSON-RPC message.' },
          },
          400,
        )
      }
      const authInfo = sdkAuthInfo(passed.caller)
      const inner = withoutCredentials(request)
      if (await isLegacyRequest(inner, body)) {
        const answer = await sessions.handle(inner, body, passed.caller, authInfo)
        if (answer instanceof Response) return answer
        if (answer) rounds.set(inner, createUrlRequiredExchange(answer.capabilities))
        if (isPost && !acceptsStream(request)) return answerInJson(factory, inner, body, authInfo)
      } else if (isPost) {
        const round = await openRound(body, passed.caller, request.signal)
        if (round === 'refused') return stateRefused(body)
        if (round) rounds.set(inner, round)
      }
      return handler.fetch(inner, {
        ...(authInfo && { authInfo }),
        ...(isPost && { parsedBody: body }),
      })
    },
    stopAsking: options.stopAsking,
    async close() {
      await sessions.close()
      await handler.close()
    },
  }
}

/** The SDK asks for a token string; nothing behind the gate needs it, so nothing behind the gate gets it (R158). */
const sdkAuthInfo = (caller: Caller | ClientCaller | undefined) =>
  caller && {
    token: '',
    clientId: caller.clientId,
    scopes: [...caller.scopes],
    expiresAt: caller.expiresAt,
    extra: { caller },
  }

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
  authInfo: ReturnType<typeof sdkAuthInfo>,
): Promise<Response> {
  const accepting = new Request(request, { headers: new Headers(request.headers) })
  accepting.headers.set('accept', 'application/json, text/event-stream')
  const server = await factory({ era: 'legacy', ...(authInfo && { authInfo }), requestInfo: request })
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true })
  await server.connect(transport)
  try {
    return await transport.handleRequest(accepting, { parsedBody: body, ...(authInfo && { authInfo }) })
  } finally {
    await server.close()
  }
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
