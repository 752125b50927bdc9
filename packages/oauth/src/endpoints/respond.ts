import { OAuthError, StoreUnavailableError } from '../errors.ts'
import type { EventSink } from '../events.ts'

/** Seconds after which a caller may try again when the trouble is ours. */
const retryAfterSeconds = 1

const withDefaults = (
  headers: ResponseInit['headers'],
  defaults: Record<string, string>,
): Headers | Record<string, string> => {
  if (headers === undefined) return defaults
  const all = new Headers(headers)
  for (const [name, value] of Object.entries(defaults)) if (!all.has(name)) all.set(name, value)
  return all
}

const jsonHeaders = {
  'Content-Type': 'application/json',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
}

/**
 * A JSON answer. Not stored by any cache unless `init.headers` says otherwise, and never taken for HTML (R89, R198).
 *
 * @see RFC 6749 §5.1
 */
export function json(body: unknown, init: ResponseInit = {}): Response {
  return new Response(JSON.stringify(body), { ...init, headers: withDefaults(init.headers, jsonHeaders) })
}

/**
 * Sends the browser on with a GET, after a POST too: 303, because a 307 would post the form to the client (R49).
 * The URL it comes from is told to nobody (R51).
 */
export function seeOther(url: string, headers?: ResponseInit['headers']): Response {
  return new Response(null, {
    status: 303,
    headers: withDefaults(headers, {
      Location: url,
      'Cache-Control': 'no-store',
      'Referrer-Policy': 'no-referrer',
    }),
  })
}

/** What RFC 6749 §5.2 lets a description hold; anything else is left out rather than sent. */
const describable = (text: string) => text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '')

const oauthError = (code: string, description: string | undefined, init: ResponseInit): Response =>
  json(
    description === undefined
      ? { error: code }
      : { error: code, error_description: describable(description) },
    init,
  )

/** Where in our code an unexpected error arose: its first stack frame, without the message above it. */
const originOf = (error: unknown) =>
  (error instanceof Error && /^\s+at (.+)$/m.exec((error.stack ?? '').replace(error.message, ''))?.[1]) ||
  'unknown'

/**
 * The one place where an error becomes HTTP.
 * - a refusal keeps its code, its constant description, status and headers;
 * - a store that could not answer is 503 `temporarily_unavailable`: clients keep their tokens and try again,
 *   while `server_error` would send their users to a new sign-in (R92, R140);
 * - anything else is a bare `server_error`, with nothing of its reason (R189).
 *
 * @param step name of what was being done, for the event: an endpoint's path, no value of the request
 */
export function errorResponse(error: unknown, emit?: EventSink, step = 'request'): Response {
  if (error instanceof OAuthError) {
    const headers = new Headers(error.headers)
    if (error.status === 503 && !headers.has('Retry-After')) {
      headers.set('Retry-After', String(retryAfterSeconds))
    }
    return oauthError(error.code, error.description, { status: error.status, headers })
  }
  if (error instanceof StoreUnavailableError) {
    emit?.({ type: 'store_unavailable', step })
    return oauthError('temporarily_unavailable', 'The server cannot answer now. Try again in a moment.', {
      status: 503,
      headers: { 'Retry-After': String(retryAfterSeconds) },
    })
  }
  emit?.({
    type: 'request_failed',
    step,
    errorName: error instanceof Error ? error.name : typeof error,
    where: originOf(error),
  })
  return oauthError('server_error', undefined, { status: 500 })
}
