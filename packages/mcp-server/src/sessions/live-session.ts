import { setImmediate } from 'node:timers/promises'
import {
  type AuthInfo,
  isJSONRPCNotification,
  type JSONRPCMessage,
  type McpServer,
  type RequestId,
  type ServerContext,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server'
import { boundUnread } from '../bound-unread.ts'
import type { Subscriptions } from '../calls/subscriptions.ts'
import type { ClientExchange, Waiting } from '../elicit/exchange.ts'
import { createSessionExchange } from '../elicit/session-exchange.ts'
import { jsonResponse } from '../json-response.ts'
import { createEventLog, type EventKeeping, type EventLog } from './event-log.ts'
import { createKeptSubscriptions, type SubscriptionKeeping } from './kept-subscriptions.ts'
import { createQuestionIds, type QuestionIds } from './question-ids.ts'
import { createResumption, isStandalone, splitResumption } from './resumed-stream.ts'
import type { SessionTicket } from './session-ticket.ts'
import { createSessionTransport, requestIdOf } from './session-transport.ts'

/** How often a session with calls under way looks for what its client told another process, in milliseconds. */
const relayMs = 500

/** Ids of calls that can be cancelled from another process, in characters. */
const maxIdLength = 200

/** How many calls of one session may be under way: its client may go away from each without ending it. */
const maxCalls = 100

/** How long clients wait before they take up a stream again, in milliseconds. */
const retryMs = 1_000

/** A session as this process serves it, for one principal. It can be closed and opened again without its client noticing. */
export interface LiveSession {
  /** Whether calls are under way, which would be lost if it were closed. */
  readonly isBusy: boolean
  handle(request: Request, options: { parsedBody?: unknown; authInfo?: AuthInfo }): Promise<Response>
  /** Reads again what another process was told to follow. */
  reloadSubscriptions(): Promise<void>
  close(): Promise<void>
}

/**
 * Opens a session: one SDK server object, which nobody else's messages can reach (R160).
 *
 * @param session.key names session and principal
 * @param session.isNew its client is about to send `initialize`; else the server object is brought to where it was
 */
export async function openLiveSession(
  session: { id: string; key: string; ticket: SessionTicket; isNew: boolean },
  options: Waiting & {
    createServer: (
      exchangeOf: (context: ServerContext) => ClientExchange,
      subscriptions: Subscriptions,
    ) => McpServer
    keeping: EventKeeping & SubscriptionKeeping
  },
): Promise<LiveSession> {
  const { id, key, ticket } = session
  const { keeping, timing, stopping } = options
  const { replica, onError } = keeping
  const capabilities = ticket.capabilities as ClientExchange['capabilities']
  const log = createEventLog(key, keeping)
  const inner = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: () => id,
    eventStore: log,
    retryInterval: retryMs,
  })
  const ids = createQuestionIds(key, replica)
  const transport = createSessionTransport(inner, ids, message => {
    const left = leftFor(message, ids)
    if (left) log.leave(left.name, left.message).catch(onError)
  })
  const subscriptions = createKeptSubscriptions({ key, expiresAt: ticket.expiresAt }, keeping)
  if (!session.isNew) await subscriptions.reload()
  const server = options.createServer(
    context => createSessionExchange(context, { capabilities, timing, stopping }),
    subscriptions,
  )
  await server.connect(transport)
  server.server.onerror = onError
  if (!session.isNew) await introduce(inner, ticket)

  let timer: NodeJS.Timeout | undefined
  const closed = new AbortController()
  const resume = createResumption({ log, sessionId: id, closed: closed.signal })
  const isBusy = () => transport.calls.size > 0 || transport.questions.size > 0
  /** While calls are under way: what their client said where another process heard it. */
  const schedule = () => {
    if (timer || closed.signal.aborted || !isBusy()) return
    timer = setTimeout(async () => {
      await collect(log, transport).catch(onError)
      timer = undefined
      schedule()
    }, relayMs)
    timer.unref()
  }

  const answer: LiveSession['handle'] = async (request, handed) => {
    const response = await inner.handleRequest(request, handed)
    // It stays open for as long as the session, and whoever takes it up again gets what was left.
    return isStandalone(request) && response.body
      ? new Response(boundUnread(response.body), response)
      : response
  }

  return {
    get isBusy() {
      return isBusy()
    },
    async handle(request, handed) {
      if (transport.calls.size + requestsIn(handed.parsedBody) > maxCalls) return tooManyCalls()
      const lastEventId = request.method === 'GET' ? request.headers.get('last-event-id') : null
      const foreign = lastEventId === null ? undefined : splitResumption(request, lastEventId, replica)
      const response = foreign
        ? await resume(foreign, own => answer(own, handed))
        : await answer(request, handed)
      schedule()
      return response
    },
    reloadSubscriptions: subscriptions.reload,
    async close() {
      closed.abort()
      clearTimeout(timer)
      // Results of calls that have ended, or the ends of cancelled ones, are about to be written.
      let turns = 0
      do await setImmediate()
      while (++turns < 20 && transport.calls.size > 0)
      await server.close()
    },
  }
}

/**
 * What is left for another process: the answer to its question, or that its call is cancelled. Anything else would be
 * kept for nobody; and of a cancellation no more than that it is one.
 */
function leftFor(
  message: JSONRPCMessage,
  ids: QuestionIds,
): { name: string; message: JSONRPCMessage } | undefined {
  if (isJSONRPCNotification(message)) {
    const { jsonrpc, method } = message
    const requestId = requestIdOf(message)
    if (requestId === undefined || String(requestId).length > maxIdLength) return undefined
    return { name: cancelName(requestId), message: { jsonrpc, method, params: { requestId } } }
  }
  const { id } = message as { id?: RequestId }
  return id !== undefined && ids.isOurs(id) ? { name: answerName(String(id)), message } : undefined
}

/** How many requests a body brings. */
const requestsIn = (body: unknown): number =>
  [body].flat().filter(message => isRecord(message) && 'method' in message && 'id' in message).length

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

const tooManyCalls = (): Response =>
  jsonResponse(
    {
      jsonrpc: '2.0',
      id: null,
      error: { code: -32000, message: 'Too many calls are under way: end some, or try again.' },
    },
    429,
    { 'Retry-After': '5' },
  )

const answerName = (id: string) => `answer:${id}`
const cancelName = (id: string | number) => `cancel:${JSON.stringify(id)}`

async function collect(log: EventLog, transport: ReturnType<typeof createSessionTransport>): Promise<void> {
  const names = [...[...transport.questions].map(answerName), ...[...transport.calls].map(cancelName)]
  for (const name of names) {
    const message = await log.find(name)
    if (message) transport.deliver(message)
  }
}

/** Tells a new server object what the client said when the session was opened. */
async function introduce(
  inner: WebStandardStreamableHTTPServerTransport,
  { protocolVersion, capabilities, client }: SessionTicket,
): Promise<void> {
  const hello = new Request('http://session.invalid/mcp', {
    method: 'POST',
    headers: { accept: 'application/json, text/event-stream', 'content-type': 'application/json' },
  })
  const params = { protocolVersion, capabilities, clientInfo: client }
  const answer = await inner.handleRequest(hello, {
    parsedBody: { jsonrpc: '2.0', id: 'introduction', method: 'initialize', params },
  })
  await answer.text()
}
