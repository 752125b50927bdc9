/**
 * `fetch` for one remote server: to its origin alone, without redirects, with a limit on what has to be held at once.
 *
 * @param listens whether a stream may be kept open for what the server tells without being asked
 */
export function guardedFetch(
  { origin }: URL,
  options: { maxBytes: number; headers: () => Readonly<Record<string, string>>; listens: boolean },
): (input: string | URL, init?: RequestInit) => Promise<Response> {
  return async (input, init = {}) => {
    if (new URL(input).origin !== origin) throw new TypeError('the remote server points elsewhere')
    if (!options.listens && (init.method ?? 'GET') === 'GET') return new Response(null, { status: 405 })
    const headers = new Headers(init.headers)
    for (const [name, value] of Object.entries(options.headers())) headers.set(name, value)
    // A redirect would take credentials and arguments to where nobody sent them (R184).
    const response = await fetch(input, { ...init, headers, redirect: 'error' })
    if (!response.body) return response
    return new Response(response.body.pipeThrough(limitMessages(options.maxBytes)), {
      status: response.status,
      statusText: response.statusText,
      headers: response.headers,
    })
  }
}

/** Ends a body as soon as one message is longer than the limit: in a stream, an empty line ends a message. */
export function limitMessages(maxBytes: number): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0
  let last = 0
  return new TransformStream({
    transform(chunk, controller) {
      for (const byte of chunk) {
        // CR LF counts as one end of a line.
        if (byte === 13) continue
        bytes = byte === 10 && last === 10 ? 0 : bytes + 1
        last = byte
      }
      if (bytes > maxBytes) controller.error(new TypeError('the remote server sent too much'))
      else controller.enqueue(chunk)
    },
  })
}
