/** A JSON object as a provider sent it: nothing about its members is known. */
export type JsonObject = Readonly<Record<string, unknown>>

/** The object, or undefined when it is none. */
export function asObject(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : undefined
}

/** The value of a JSON text; undefined when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The value at a path of member names with dots between them; undefined when there is none. */
export function memberAt(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, name) => {
    const object = asObject(inner)
    return object && Object.hasOwn(object, name) ? object[name] : undefined
  }, value)
}
