import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server'

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly nextCursor?: string
}

/**
 * The page of a list that a cursor names. A cursor names the last item of the page before it, so that pages stay whole
 * while items come and go.
 *
 * @param size undefined: everything is one page
 * @param keyOf what an item is known by, unique in the list
 * @throws {ProtocolError} -32602 when the cursor is none of ours
 */
export function pageOf<T>(
  items: readonly T[],
  cursor: unknown,
  size: number | undefined,
  keyOf: (item: T) => string,
): Page<T> {
  let start = 0
  if (cursor !== undefined) {
    const { index, key } = readCursor(cursor)
    const known = items.findIndex(item => keyOf(item) === key)
    start = known < 0 ? Math.min(index, items.length) : known + 1
  }
  if (size === undefined) return { items: items.slice(start) }
  const page = items.slice(start, start + size)
  const last = page.at(-1)
  return last !== undefined && start + size < items.length
    ? { items: page, nextCursor: writeCursor(start + size, keyOf(last)) }
    : { items: page }
}

const writeCursor = (index: number, key: string): string =>
  Buffer.from(JSON.stringify([index, key])).toString('base64url')

function readCursor(cursor: unknown): { index: number; key: string } {
  try {
    const [index, key] = JSON.parse(Buffer.from(String(cursor), 'base64url').toString())
    if (Number.isSafeInteger(index) && index >= 0 && typeof key === 'string') return { index, key }
  } catch {
    // Told below.
  }
  throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'Invalid cursor: list again from the start.')
}
