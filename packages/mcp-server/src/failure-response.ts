import { randomUUID } from 'node:crypto'
import { StoreUnavailableError } from '@sallyport/oauth'
import { jsonResponse, unavailableResponse } from './json-response.ts'
import { RequestAbortedError } from './read-body.ts'
import type { ToolLog } from './tools/call-context.ts'

/**
 * What a request is answered that failed: 503 when the store does not answer, else 500 with a number under which the
 * log has the reason, and nothing of the reason itself (R189).
 */
export function failureResponse(error: unknown, log: ToolLog): Response {
  if (error instanceof StoreUnavailableError) return unavailableResponse()
  // Strangers must not fill the log with requests that they abandon.
  if (error instanceof RequestAbortedError) return new Response(null, { status: 400 })
  const reference = randomUUID()
  log.error({ err: error, reference }, 'request failed')
  return jsonResponse({ error: 'server_error', reference }, 500)
}
