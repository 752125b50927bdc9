import { type Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'

/** One JSON-RPC message of the server. */
export interface Message {
  id?: unknown
  method?: string
  params?: Record<string, unknown>
  result?: Record<string, unknown>
  error?: { code: number }
}

/** What the server answers to one HTTP request, as it comes. */
export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  messages: AsyncGenerator<Message>
  /** Closes the connection; the messages end. */
  hangUp(): void
}

/** A user's client, as bare as can be: one request at a time is what it says, and what comes back is looked at byte by byte. */
export interface HttpUser {
  send(method: 'GET' | 'POST', headers: Record<string, string>, message?: object): Promise<Answer>
  /** The id of the event that came last, of any stream. */
  lastEventId(): string | undefined
}

/**
 * Creates a client of one user.
 *
 * @param options.agent may be shared: users behind one proxy share its connections
 * @param options.forbidden what must never be in an answer to this user
 */
export function createHttpUser(options: {
  url: string
  token: string
  agent: Agent
  forbidden: string
  signal: AbortSignal
}): HttpUser {
  const { url, token, agent, forbidden, signal } = options
  let lastEventId: string | undefined

  /** The text of an answer, in pieces. */
  async function* textOf(incoming: IncomingMessage, isHungUp: () => boolean): AsyncGenerator<string> {
    incoming.setEncoding('utf8')
    let seen = ''
    try {
      for await (const chunk of incoming as AsyncIterable<string>) {
        seen += chunk
        if (seen.includes(forbidden))
          throw new Error(`an answer to one user has what is the other's: ${seen}`)
        yield chunk
      }
    } catch (error) {
      if (!isHungUp()) throw error
    }
  }

  async function* messagesOf(incoming: IncomingMessage, isHungUp: () => boolean): AsyncGenerator<Message> {
    const isStream = incoming.headers['content-type']?.startsWith('text/event-stream')
    let text = ''
    for await (const chunk of textOf(incoming, isHungUp)) {
      text += chunk
      if (!isStream) continue
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const lines = text.slice(0, end).split('\n')
        text = text.slice(end + 2)
        const field = (name: string) => lines.find(line => line.startsWith(name))?.slice(name.length)
        lastEventId = field('id: ') ?? lastEventId
        const data = field('data: ')
        if (data) yield JSON.parse(data) as Message
      }
    }
    if (!isStream && text !== '') yield JSON.parse(text) as Message
  }

  return {
    lastEventId: () => lastEventId,
    send: (method, headers, message) =>
      new Promise((resolve, reject) => {
        const body = message && JSON.stringify({ jsonrpc: '2.0', ...message })
        let isHungUp = false
        const outgoing = request(url, {
          method,
          agent,
          signal,
          headers: {
            accept: 'application/json, text/event-stream',
            authorization: `Bearer ${token}`,
            ...(body !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(body),
            }),
            ...headers,
          },
        })
        outgoing.on('error', reject)
        outgoing.on('response', incoming =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            messages: messagesOf(incoming, () => isHungUp),
            hangUp() {
              isHungUp = true
              outgoing.destroy()
            },
          }),
        )
        outgoing.end(body)
      }),
  }
}
