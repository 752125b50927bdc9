import { setTimeout as pause } from 'node:timers/promises'
import type { EventLog, EventPlace } from './event-log.ts'
import { parseEventId } from './event-log.ts'

/** The SDK's name of the stream that a plain GET opens. */
const standaloneStream = '_GET_stream'

/** Whether a request opens the stream beside all calls, or takes it up again. */
export function isStandalone({ method, headers }: Request): boolean {
  if (method !== 'GET') return false
  const lastEventId = headers.get('last-event-id')
  return lastEventId === null || parseEventId(lastEventId)?.streamId === standaloneStream
}

/** How often a stream of another process is looked at, in milliseconds. */
const pollMs = 500

/** How long a stream is held open in which nothing happens, in milliseconds; clients then ask again. */
const silenceMs = 30_000

/** A stream that another process began. */
export interface Resumption {
  place: EventPlace
  request: Request
}

/** Undefined when the stream is this process's own, or none: the SDK then answers. */
export function splitResumption(
  request: Request,
  lastEventId: string,
  replica: string,
): Resumption | undefined {
  const place = parseEventId(lastEventId)
  return place && place.replica !== replica ? { place, request } : undefined
}

/** How many streams of other processes one session follows at a time. */
const maxFollowed = 20

/**
 * Creates the way on with streams of other processes: what their client has not seen, and what those processes still
 * write, up to the answer. A stream that a GET had opened goes on as this process's own. Each of the others is looked for
 * in the store again and again, even when there is none: a session follows a few of them, of each one at a time, and the
 * oldest makes room (R22).
 */
export function createResumption(options: {
  log: Pick<EventLog, 'readAfter'>
  sessionId: string
  /** Aborted when the session is closed: its streams end with it, whoever began them (R157). */
  closed: AbortSignal
}): (resumption: Resumption, open: (request: Request) => Promise<Response>) => Promise<Response> {
  const { log, sessionId, closed } = options
  const followed = new Map<string, AbortController>()

  const begin = ({ replica, streamId }: EventPlace) => {
    const name = `${replica}_${streamId}`
    const ended = new AbortController()
    followed.get(name)?.abort()
    followed.delete(name)
    const [oldest] = followed
    if (oldest && followed.size >= maxFollowed) {
      oldest[1].abort()
      followed.delete(oldest[0])
    }
    followed.set(name, ended)
    return {
      signal: AbortSignal.any([ended.signal, closed]),
      end() {
        ended.abort()
        if (followed.get(name) === ended) followed.delete(name)
      },
    }
  }

  return async ({ place, request }, open) => {
    if (place.streamId === standaloneStream) {
      const missed = await log.readAfter(place)
      const headers = new Headers(request.headers)
      headers.delete('last-event-id')
      const own = await open(new Request(request, { headers }))
      return own.body && own.ok ? new Response(precededBy(missed.map(sseEvent), own.body), own) : own
    }
    const { signal: following, end } = begin(place)
    const signal = AbortSignal.any([request.signal, following])
    const encoder = new TextEncoder()
    let position = place.position
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const deadline = performance.now() + silenceMs
        while (!signal.aborted) {
          const events = await log.readAfter({ ...place, position })
          for (const event of events) {
            position = event.position
            controller.enqueue(encoder.encode(sseEvent(event)))
          }
          if (events.some(({ message }) => 'result' in message || 'error' in message)) break
          if (events.length > 0) return
          if (performance.now() > deadline) break
          await pause(pollMs, undefined, { signal, ref: false }).catch(() => {})
        }
        end()
        controller.close()
      },
      cancel: end,
    })
    return new Response(body, {
      headers: {
        'Content-Type': 'text/event-stream',
        'Cache-Control': 'no-cache, no-transform',
        'X-Accel-Buffering': 'no',
        'Mcp-Session-Id': sessionId,
      },
    })
  }
}

/** JSON has no line breaks, and ids are ours: nothing can leave its field (R200). */
const sseEvent = ({ id, message }: { id: string; message: unknown }) =>
  `event: message\nid: ${id}\ndata: ${JSON.stringify(message)}\n\n`

/** A stream with something before it. */
function precededBy(texts: readonly string[], body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const joined = new TransformStream<Uint8Array, Uint8Array>({
    start(controller) {
      for (const text of texts) controller.enqueue(encoder.encode(text))
    },
  })
  void body.pipeTo(joined.writable).catch(() => {})
  return joined.readable
}
