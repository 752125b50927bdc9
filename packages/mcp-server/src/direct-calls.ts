import type { IncomingMessage, ServerResponse } from 'node:http'
import { inRequest } from '@sallyport/oauth'
import { tooLargeResponse } from './body-limit.ts'
import type { HostCheck } from './host-check.ts'
import type { InFlight } from './in-flight.ts'
import type { McpEndpoint } from './mount-mcp.ts'
import { secureHeaders, secureResponse } from './secure-response.ts'

/**
 * Takes a request of node:http before it becomes a `Request`, when it is a plain POST to the MCP endpoint.
 *
 * @param respond sends a `Response` for it, the long way
 * @returns false: it is not for here, and nothing of it was read
 */
export type DirectCalls = (
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  respond: (response: Promise<Response>) => void,
) => boolean

/** What answers are made of; known once the server's address is. */
export interface DirectParts {
  hostCheck: HostCheck
  mcp: McpEndpoint
  https: boolean
  maxBodyBytes: number
}

/**
 * Creates the short way for calls: the same checks in the same order as the app makes them, by the same functions, but
 * without the streams, copies and routing that a `Request` on its way through the app needs. Whatever is not a plain
 * POST of a known length from outside a browser takes the long way.
 *
 * @param parts undefined until the server can serve
 * @param onAnswer told what was answered the short way
 */
export function createDirectCalls(
  parts: () => DirectParts | undefined,
  inFlight: InFlight,
  onAnswer: (status: number) => void,
): DirectCalls {
  return (incoming, outgoing, respond) => {
    const served = parts()
    if (!served || incoming.method !== 'POST' || incoming.url !== '/mcp') return false
    const request = headOf(incoming, outgoing)
    const { headers } = request
    if (longWayHeaders.some(name => headers.has(name))) return false
    const length = headers.get('content-length')
    if (length === null || !(Number(length) <= served.maxBodyBytes)) return false
    const { mcp, hostCheck, https } = served
    try {
      if (hostCheck.checkHost(request)) return false
    } catch {
      // Headers or a host that are none: the long way has an answer to each.
      return false
    }

    const chunks: Buffer[] = []
    let received = 0
    incoming.on('data', (chunk: Buffer) => {
      received += chunk.length
      chunks.push(chunk)
    })
    incoming.on('end', () => {
      if (received > served.maxBodyBytes) return respond(Promise.resolve(tooLargeResponse()))
      const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
      const answer = inRequest(() => inFlight.track(mcp.call(request, bytes)))
      answer.then(
        result => {
          if (result instanceof Response) {
            onAnswer(result.status)
            respond(Promise.resolve(secureResponse(result, https)))
          } else if (!outgoing.destroyed) {
            onAnswer(200)
            // With its length known, head and body leave in one write.
            const length = Buffer.byteLength(result)
            outgoing.writeHead(200, { ...secureHeaders(https), 'Content-Length': length }).end(result)
          }
        },
        error => respond(Promise.reject(error)),
      )
    })
    // A client that goes away in the middle of its own request is owed nothing.
    incoming.on('error', () => {})
    return true
  }
}

/** Pages, compressed bodies, and bodies of unknown length. */
const longWayHeaders = ['origin', 'content-encoding', 'transfer-encoding']

/** What the checks look at of a request. Nothing is made of it before it is read. */
function headOf(incoming: IncomingMessage, outgoing: ServerResponse): Request {
  let controller: AbortController | undefined
  const headers = new RawHeaders(incoming.rawHeaders)
  return {
    method: 'POST',
    url: `http://${headers.get('host')}/mcp`,
    headers: headers as unknown as Headers,
    get signal() {
      if (!controller) {
        const created = new AbortController()
        controller = created
        outgoing.once('close', () => {
          if (!outgoing.writableFinished) created.abort()
        })
      }
      return controller.signal
    },
  } as Request
}

/** Names and values as they came, read as `Headers` reads them: by name in any case, several joined by a comma. */
class RawHeaders {
  readonly #raw: readonly string[]
  constructor(raw: readonly string[]) {
    this.#raw = raw
  }
  get(name: string): string | null {
    let value: string | null = null
    for (let index = 0; index < this.#raw.length; index += 2) {
      const each = this.#raw[index]!
      if (each.length !== name.length || each.toLowerCase() !== name) continue
      value = value === null ? this.#raw[index + 1]! : `${value}, ${this.#raw[index + 1]}`
    }
    return value
  }
  has(name: string): boolean {
    return this.get(name) !== null
  }
  *[Symbol.iterator](): Iterator<[string, string]> {
    for (let index = 0; index < this.#raw.length; index += 2) {
      yield [this.#raw[index]!, this.#raw[index + 1]!]
    }
  }
}
