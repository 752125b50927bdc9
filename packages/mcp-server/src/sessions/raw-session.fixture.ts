import type { Server } from '../server.ts'

/** One event of a stream. */
export interface StreamEvent {
  id?: string
  /** Undefined when the event is empty. */
  message?: {
    id?: unknown
    method?: string
    params?: Record<string, unknown>
    result?: unknown
    error?: unknown
  }
}

/** Events of a stream, one by one, as they come. */
export async function* eventsOf(response: Response): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n')
      text = text.slice(end + 2)
      const field = (name: string) =>
        lines.find(line => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? ''
      if (lines.every(line => line.startsWith(':'))) continue
      const [id, data] = [field('id'), field('data')]
      yield { ...(id && { id }), ...(data && { message: JSON.parse(data) }) }
    }
  }
}

/** All events of a stream, when it has ended. */
export async function allOf(stream: AsyncGenerator<StreamEvent>): Promise<StreamEvent[]> {
  const events: StreamEvent[] = []
  for await (const event of stream) events.push(event)
  return events
}

/** What a client of the 2025 revisions sends, byte by byte as the test wants it. */
export function createRawClient(token?: unknown) {
  let sessionId: string | undefined
  const send = (server: Server, method: string, headers: Record<string, string>, body?: unknown) =>
    server.fetch(
      new Request(server.url, {
        method,
        headers: {
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2025-11-25',
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(sessionId !== undefined && { 'mcp-session-id': sessionId }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    )
  return {
    get sessionId() {
      return sessionId
    },
    set sessionId(id) {
      sessionId = id
    },
    async initialize(server: Server, capabilities: object = { elicitation: { form: {}, url: {} } }) {
      sessionId = undefined
      const params = {
        protocolVersion: '2025-11-25',
        capabilities,
        clientInfo: { name: 'raw', version: '1' },
      }
      const response = await send(server, 'POST', {}, { jsonrpc: '2.0', id: 0, method: 'initialize', params })
      await response.text()
      sessionId = response.headers.get('mcp-session-id') ?? undefined
      return response
    },
    post: (server: Server, message: object, headers: Record<string, string> = {}) =>
      send(server, 'POST', headers, { jsonrpc: '2.0', ...message }),
    call: (server: Server, id: number | string, name: string, args: object = {}) =>
      send(
        server,
        'POST',
        {},
        { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } },
      ),
    get: (server: Server, headers: Record<string, string> = {}) => send(server, 'GET', headers),
    delete: (server: Server) => send(server, 'DELETE', {}),
  }
}
