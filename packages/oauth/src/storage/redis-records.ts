/**
 * How records lie in Redis: what no step changes is one opaque JSON text that no script looks into, because cjson
 * would turn an empty list into an object; what steps change or compare stands beside it as text of its own.
 */

/** `number:number:record`. */
export interface NumberedRecord {
  first: number
  second: number
  record: string
}

/** Reads `number:number:record`, as connections and signing keys lie in their hashes; undefined when it is none. */
export function parseNumbered(value: string): NumberedRecord | undefined {
  const [, first, second, record] = /^(\d+):(\d+):(.*)$/s.exec(value) ?? []
  return record === undefined ? undefined : { first: Number(first), second: Number(second), record }
}

/** The same text for the same record, whatever the order of its members: scripts compare it. */
export function recordToText(record: object): string {
  return JSON.stringify(record, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )
}
