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
 * @param onFailure answers what could not be answered
 */
export function createDirectCalls(
  parts: () => DirectParts | undefined,
  inFlight: InFlight,
  onAnswer: (status: number) => void,
  onFailure: (error: unknown) => Response,
): DirectCalls {
  return (incoming, outgoing, respond) => {
    const served = parts()
    if (!served || incoming.method !== 'POST' || incoming.url !== '/mcp') return false
    const request = new DirectRequest(incoming, outgoing) as unknown as Request
    const { headers } = request
    if (longWayHeaders.some(name => headers.has(name))) return false
    const length = headers.get('content-length')
    if (length === null || !(Number(length) <= served.maxBodyBytes)) return false
    const { mcp, hostCheck, https } = served
    // The request line names no host here (`/mcp`), so the header alone says which one is meant.
    const host = headers.get('host')
    if (host === null || !hostCheck.isOwnHost(host)) return false

    const chunks: Buffer[] = []
    let received = 0
    incoming.on('data', (chunk: Buffer) => {
      received += chunk.length
      chunks.push(chunk)
    })
    incoming.on('end', () => {
      if (received > served.maxBodyBytes) return respond(Promise.resolve(tooLargeResponse()))
      const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
      const answer = inRequest(() => inFlight.track(mcp.call(request, bytes).catch(onFailure)))
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

/**
 * What the checks look at of a request. Nothing is made of it before it is read. A class, because V8 makes a shape of
 * its own for each object that a literal gives a getter: that costs microseconds, and what such an object leads to
 * outlives the young generation.
 */
class DirectRequest implements Pick<Request, 'method' | 'url' | 'signal'> {
  readonly method = 'POST'
  readonly headers: RawHeaders
  readonly #outgoing: ServerResponse
  #controller: AbortController | undefined
  constructor(incoming: IncomingMessage, outgoing: ServerResponse) {
    this.headers = new RawHeaders(incoming.rawHeaders)
    this.#outgoing = outgoing
  }
  get url() {
    return `http://${this.headers.get('host')}/mcp`
  }
  get signal() {
    if (!this.#controller) {
      const controller = new AbortController()
      this.#controller = controller
      const outgoing = this.#outgoing
      const abort = () => {
        if (!outgoing.writableFinished) controller.abort()
      }
      // Who asks late may ask about a client that has gone already.
      if (outgoing.destroyed) abort()
      else outgoing.once('close', abort)
    }
    return this.#controller.signal
  }
}

/** Whether a name in any case is this one, in lower case. Lower case is a string of its own, made last. */
const isSameName = (each: string, name: string): boolean =>
  each.length === name.length &&
  (each.charCodeAt(0) | 0x20) === name.charCodeAt(0) &&
  each.toLowerCase() === name

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
      if (each !== name && !isSameName(each, name)) continue
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
