import { jsonResponse } from './json-response.ts'
import { isPlainEncoding, readBody } from './read-body.ts'

/** Refused by size: answered, and the connection closed, so that nobody has to read the rest (R196). */
export const tooLargeResponse = (): Response =>
  jsonResponse({ error: 'invalid_request', error_description: 'The request body is too large.' }, 413, {
    Connection: 'close',
  })

/** Refused because it is compressed. */
export const encodedResponse = (): Response =>
  jsonResponse(
    { error: 'invalid_request', error_description: 'Send the request body without Content-Encoding.' },
    415,
    { Connection: 'close' },
  )

/**
 * The request with a body that is known to be within `limit` bytes, or the refusal. Handlers behind it may read
 * the body in any way they like.
 */
export async function limitBody(request: Request, limit: number): Promise<Request | Response> {
  if (request.method === 'GET' || request.method === 'HEAD') return request
  // Its length first: to ask for the stream makes one.
  if (request.headers.get('content-length') === null && !request.body) return request
  if (!isPlainEncoding(request)) return encodedResponse()
  const body = await readBody(request, limit)
  if (!body) return tooLargeResponse()
  const { method, headers, signal } = request
  return new Request(request.url, { method, headers, signal, body })
}
