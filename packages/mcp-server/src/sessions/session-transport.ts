import {
  isJSONRPCErrorResponse,
  isJSONRPCNotification,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type JSONRPCNotification,
  type RequestId,
  type Transport,
  type WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server'
import type { QuestionIds } from './question-ids.ts'

/** A session's transport as its server object sees it. */
export interface SessionTransport extends Transport {
  /** Ids of the client's requests that have no answer yet. */
  readonly calls: ReadonlySet<RequestId>
  /** Ids, as the client knows them, of our requests that have no answer yet. */
  readonly questions: ReadonlySet<string>
  /** Takes a message that reached another process. */
  deliver(message: JSONRPCMessage): void
}

const cancelled = 'notifications/cancelled'

/**
 * Gives requests to the client ids that say which process asks: an answer finds the one that asked, and is never taken
 * for the answer to another's question.
 *
 * @param onForeign gets answers and cancellations that are for another process, if they are for any
 */
export function createSessionTransport(
  inner: WebStandardStreamableHTTPServerTransport,
  ids: QuestionIds,
  onForeign: (message: JSONRPCMessage) => void,
): SessionTransport {
  const calls = new Set<RequestId>()
  const questions = new Set<string>()

  const outer: SessionTransport = {
    calls,
    questions,
    get sessionId() {
      return inner.sessionId
    },
    start: () => inner.start(),
    close: () => inner.close(),
    setSupportedProtocolVersions: versions => inner.setSupportedProtocolVersions(versions),
    async send(message, { relatedRequestId } = {}) {
      const options = relatedRequestId === undefined ? {} : { relatedRequestId }
      if (isJSONRPCRequest(message)) {
        const id = ids.of(message.id)
        questions.add(id)
        return inner.send({ ...message, id }, options)
      }
      if (isJSONRPCNotification(message) && message.method === cancelled) {
        const id = ids.of(requestIdOf(message) ?? '')
        questions.delete(id)
        return inner.send({ ...message, params: { ...message.params, requestId: id } }, options)
      }
      if ('id' in message && message.id !== undefined) calls.delete(message.id)
      return inner.send(message, options)
    },
    deliver: message => receive(message),
  }

  function receive(
    message: JSONRPCMessage,
    extra?: Parameters<NonNullable<Transport['onmessage']>>[1],
  ): void {
    if (isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)) {
      const id = ids.numberOf(message.id ?? '')
      if (id === undefined) onForeign(message)
      // An answer that comes twice, or to a question that was taken back, is nobody's.
      else if (questions.delete(String(message.id))) outer.onmessage?.({ ...message, id }, extra)
    } else if (isJSONRPCNotification(message) && message.method === cancelled) {
      const id = requestIdOf(message)
      if (id === undefined || !calls.delete(id)) onForeign(message)
      else {
        outer.onmessage?.(message, extra)
        // The call's questions are taken back in its stream, in this turn: the client must not go on asking its user.
        setImmediate(endStream, id)
      }
    } else {
      if (isJSONRPCRequest(message)) calls.add(message.id)
      outer.onmessage?.(message, extra)
    }
  }

  /**
   * A cancelled call gets no result; without an answer of some kind its stream would stay open for as long as the
   * session does, and clients that resume streams would ask for it again and again.
   */
  function endStream(id: RequestId): void {
    const error = { code: -32800, message: 'The request was cancelled.' }
    inner.send({ jsonrpc: '2.0', id, error }).catch(failure => outer.onerror?.(failure))
  }

  inner.onmessage = receive
  inner.onclose = () => outer.onclose?.()
  inner.onerror = error => outer.onerror?.(error)
  return outer
}

/** The request that a cancellation is about. */
export function requestIdOf({ params }: JSONRPCNotification): RequestId | undefined {
  const id = params?.requestId
  return typeof id === 'string' || typeof id === 'number' ? id : undefined
}
