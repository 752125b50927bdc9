import { once } from 'node:events'
import { IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { UpstreamKind } from './kinds.ts'

/** The whole body of a request. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** A request with the same head and another body, for a handler that reads the stream itself. */
export function replay(original: IncomingMessage, url: string, body: Buffer): IncomingMessage {
  const copy = new IncomingMessage(original.socket)
  Object.assign(copy, { method: original.method, url, httpVersion: original.httpVersion, complete: true })
  copy.headers = { ...original.headers, 'content-length': String(body.length) }
  delete copy.headers['transfer-encoding']
  if (body.length > 0) copy.push(body)
  copy.push(null)
  return copy
}

/** The parameters in a body. Notion's come as JSON, and go on as the form that others send. */
export function readForm(
  kind: UpstreamKind,
  request: IncomingMessage,
  body: Buffer,
): URLSearchParams | undefined {
  const type = request.headers['content-type'] ?? ''
  const isJson = type.startsWith('application/json') && (kind === 'notion' || kind === 'github')
  if (isJson) {
    request.headers['content-type'] = 'application/x-www-form-urlencoded'
    return new URLSearchParams(JSON.parse(body.toString()))
  }
  if (!type.startsWith('application/x-www-form-urlencoded')) return undefined
  // Notion takes no form at its API; its consent page is one.
  const isApi = request.url?.startsWith('/v1/')
  return kind === 'notion' && isApi ? undefined : new URLSearchParams(body.toString())
}

/** Opens a server on loopback; its origin. Port 0: any free one. */
export async function listen(server: Server, port: number): Promise<string> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Status 200 unless it says another. */
export interface JsonAnswer {
  status?: number
  headers?: Record<string, string>
  body?: unknown
}

export function sendJson(response: ServerResponse, { status = 200, headers, body }: JsonAnswer): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(body === undefined ? undefined : JSON.stringify(body))
}

/** Ends a request that the stand-in itself has failed. */
export function crash(error: unknown, response: ServerResponse): void {
  console.error('test upstream:', error)
  if (!response.headersSent) response.writeHead(500)
  response.end()
}
