import type { Server } from '../server.ts'
import type { StreamEvent } from './raw-session.fixture.ts'

/** `subscriptions/listen` of 2026-07-28, as a client sends it. */
export const listenRequest = (url: string, token: unknown, notifications: object): Request =>
  new Request(url, {
    method: 'POST',
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'subscriptions/listen',
      authorization: `Bearer ${token}`,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'subscriptions/listen',
      params: {
        notifications,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    }),
  })

/** Listens for changes at a server in this process. */
export const listenModern = (server: Server, token: unknown, notifications: object): Promise<Response> =>
  server.fetch(listenRequest(server.url, token, notifications))

/** What a message tells has changed: `tools`, `prompts`, `resources`, or the address of a resource. */
export function notificationsOf(message: StreamEvent['message']): string | undefined {
  const list = /^notifications\/(\w+)\/list_changed$/.exec(message?.method ?? '')?.[1]
  return message?.method === 'notifications/resources/updated' ? String(message.params?.uri) : list
}
