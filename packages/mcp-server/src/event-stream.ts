/** A message of JSON-RPC, as far as those who pass it on look at it. */
export interface StreamMessage {
  method?: unknown
  params?: Record<string, unknown>
  result?: Record<string, unknown>
}

const encoder = new TextEncoder()

/** A message as an event of a stream. */
export const eventOf = (message: object): Uint8Array =>
  encoder.encode(`event: message\ndata: ${JSON.stringify(message)}\n\n`)

export const isEventStream = ({ headers }: Response): boolean =>
  headers.get('content-type')?.startsWith('text/event-stream') === true

/**
 * The same stream of events with other messages. What carries no message, such as a comment, passes as it is.
 *
 * @param change the message as it shall be; undefined leaves it out, the very same one passes as it is
 */
export function mapMessages(
  stream: ReadableStream<Uint8Array>,
  change: (message: StreamMessage) => object | undefined,
): ReadableStream<Uint8Array> {
  const reader = stream.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  const changed = (event: string): Uint8Array | undefined => {
    const data = /^data: ([^\n]*)/m.exec(event)?.[1]
    if (data === undefined) return encoder.encode(`${event}\n\n`)
    const message = JSON.parse(data) as StreamMessage
    const next = change(message)
    if (next === message) return encoder.encode(`${event}\n\n`)
    return next && eventOf(next)
  }
  return new ReadableStream({
    async pull(controller) {
      for (let isWaiting = true; isWaiting; ) {
        const { done, value } = await reader.read()
        if (done) return controller.close()
        const events = (rest + decoder.decode(value, { stream: true })).split('\n\n')
        rest = events.pop() ?? ''
        for (const event of events) {
          const bytes = changed(event)
          if (!bytes) continue
          controller.enqueue(bytes)
          isWaiting = false
        }
      }
    },
    cancel: reason => reader.cancel(reason),
  })
}
