import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server'
import { createListeners, type Subscriptions } from '../calls/subscriptions.ts'

/**
 * What the client of a connection that stays asks to hear of since 2026-07-28, read off its messages: the SDK answers
 * `subscriptions/listen` itself, and tells of nothing that nobody has told it.
 *
 * @returns the transport to hand to the SDK, and the resources its client follows
 */
export function withListened(inner: Transport): { transport: Transport; listened: Subscriptions } {
  /** Resources by id of the request that asked for them. */
  const requests = new Map<unknown, readonly string[]>()
  const listeners = createListeners()

  const note = (message: JSONRPCMessage) => {
    if (!('method' in message)) return
    const { method, params = {} } = message as { method: string; params?: Record<string, unknown> }
    if (method === 'subscriptions/listen' && 'id' in message) {
      const { resourceSubscriptions } = Object(params.notifications) as { resourceSubscriptions?: unknown }
      const uris = Array.isArray(resourceSubscriptions) ? resourceSubscriptions : []
      requests.set(
        message.id,
        uris.filter(uri => typeof uri === 'string'),
      )
    } else if (method !== 'notifications/cancelled' || !requests.delete(params.requestId)) return
    listeners.tell()
  }

  const transport: Transport = {
    async start() {
      inner.onmessage = (message, extra) => {
        note(message)
        transport.onmessage?.(message, extra)
      }
      inner.onclose = () => transport.onclose?.()
      inner.onerror = error => transport.onerror?.(error)
      await inner.start()
    },
    send: (message, options) => inner.send(message, options),
    close: () => inner.close(),
  }
  const all = function* () {
    for (const uris of requests.values()) yield* uris
  }
  const refuse = () => Promise.reject(new Error('what is listened to comes from the client'))
  const listened: Subscriptions = {
    has: uri => [...all()].includes(uri),
    add: refuse,
    delete: refuse,
    onChange: listeners.add,
    [Symbol.iterator]: all,
  }
  return { transport, listened }
}
