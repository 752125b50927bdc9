/** How deep JSON may nest before it is refused: no tool call comes near, and walking it costs stack (R196). */
export const maxJsonDepth = 100

/** The client went away before its request was whole: nobody waits for an answer, and nothing is wrong here. */
export class RequestAbortedError extends Error {
  override name = 'RequestAbortedError'
}

/**
 * The bytes of a request's body, or undefined when there are more than `limit`. Counts what arrives: a
 * `Content-Length` may lie or be missing (R196).
 *
 * @throws {RequestAbortedError} when the body ends before it is whole
 */
export function readBody(request: Request, limit: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
  return readBytes(request, limit).catch(cause => {
    throw new RequestAbortedError('the client went away', { cause })
  })
}

async function readBytes(request: Request, limit: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const announced = request.headers.get('content-length')
  if (announced !== null && /^\d+$/.test(announced)) {
    if (Number(announced) > limit) return undefined
    // HTTP ends a body where it was announced to end (RFC 9112 §6.3), and read in one piece it costs a fifth of what
    // its stream costs.
    const bytes = new Uint8Array(await request.arrayBuffer())
    return bytes.byteLength <= limit ? bytes : undefined
  }
  return collectBytes(request.body, limit)
}

/** A body in one piece; undefined when it has more than `limit` bytes. Null is an empty one. */
export async function collectBytes(
  body: ReadableStream<Uint8Array> | null,
  limit: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (!body) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    length += value.byteLength
    if (length > limit) {
      await reader.cancel().catch(() => {})
      return undefined
    }
    chunks.push(value)
  }
  const bytes = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.byteLength
  }
  return bytes
}

/** Whether a body comes as it is: a compressed one could grow past any limit (R196). */
export const isPlainEncoding = (request: Request): boolean =>
  /^(identity)?$/i.test(request.headers.get('content-encoding')?.trim() ?? '')

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The value of JSON text, or undefined when it is not JSON, not UTF-8, or nests deeper than `maxJsonDepth`. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    const text = utf8.decode(bytes)
    return isShallow(text) ? JSON.parse(text) : undefined
  } catch {
    return undefined
  }
}

function isShallow(text: string): boolean {
  // Most messages open fewer brackets than they could nest; to count these is a fraction of walking the text.
  if (countOf('{', text) + countOf('[', text) <= maxJsonDepth) return true
  let depth = 0
  let inString = false
  for (let index = 0; index < text.length; index++) {
    const char = text.charCodeAt(index)
    if (inString) {
      if (char === 0x5c) index++
      else if (char === 0x22) inString = false
    } else if (char === 0x22) inString = true
    else if (char === 0x7b || char === 0x5b) {
      if (++depth > maxJsonDepth) return false
    } else if (char === 0x7d || char === 0x5d) depth--
  }
  return true
}

function countOf(bracket: '{' | '[', text: string): number {
  let count = 0
  for (
    let at = text.indexOf(bracket);
    at !== -1 && count <= maxJsonDepth;
    at = text.indexOf(bracket, at + 1)
  ) {
    count++
  }
  return count
}
