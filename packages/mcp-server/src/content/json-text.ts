/** Values of which JSON keeps nothing: what somebody returns by mistake would arrive as `{}`. */
const lost: readonly (readonly [name: string, is: (value: object) => boolean, instead: string])[] = [
  ['a Response', value => value instanceof Response, 'return await response.json() or response.text()'],
  ['an error', value => value instanceof Error, 'throw it'],
  ['a Map', value => value instanceof Map, 'return Object.fromEntries(map)'],
  ['a Set', value => value instanceof Set, 'return [...set]'],
  [
    'bytes',
    value => ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof Blob,
    'return content.image, content.audio or content.resource with them',
  ],
  [
    'a stream or an iterator',
    value => value instanceof ReadableStream || Symbol.asyncIterator in value || isIterator(value),
    'read it, and return what it gives',
  ],
]

const isIterator = (value: object): boolean =>
  Symbol.iterator in value && typeof (value as { next?: unknown }).next === 'function'

/**
 * A value as JSON text; undefined for what is not there.
 *
 * @param where what returned it, such as `A tool`
 * @throws {TypeError} when JSON cannot hold the value, or would hold nothing of it
 */
export function jsonText(value: unknown, where: string): string | undefined {
  if (typeof value === 'function' || typeof value === 'symbol') {
    throw new TypeError(`${where} returned a ${typeof value}: return a text, content, or what JSON can hold.`)
  }
  if (typeof value === 'object' && value !== null && !isPlain(value)) {
    const mistake = lost.find(([, is]) => is(value))
    if (mistake && !('toJSON' in value && !ArrayBuffer.isView(value))) {
      throw new TypeError(`${where} returned ${mistake[0]}: ${mistake[2]}.`)
    }
  }
  try {
    return JSON.stringify(value)
  } catch (cause) {
    const [reason] = cause instanceof Error ? cause.message.split('\n') : []
    throw new TypeError(`${where} returned what JSON cannot hold: ${reason}.`, { cause })
  }
}

/** Nearly everything that handlers return, known without looking further. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === Array.prototype || prototype === null
}
