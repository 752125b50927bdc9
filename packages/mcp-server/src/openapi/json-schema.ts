/** A JSON Schema as JSON. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** Deeper than any schema a model should have to read. */
const maxDepth = 24

/**
 * A schema that JSON can hold: where an object meets itself, anything is allowed. What only OpenAPI knows is left out,
 * so that validators do not stumble over it.
 */
export function plainSchema(schema: unknown): JsonSchema {
  const plain = copy(schema, [])
  return isObject(plain) ? plain : {}
}

const openApiOnly: readonly string[] = ['discriminator', 'xml', 'externalDocs', 'example', '$ref']

function copy(value: unknown, above: readonly unknown[]): unknown {
  if (Array.isArray(value)) return value.map(item => copy(item, above))
  if (!isObject(value)) return value
  if (above.includes(value) || above.length > maxDepth) return {}
  const inside = [...above, value]
  const isProperties = isObject(above.at(-1)) && (above.at(-1) as JsonSchema).properties === value
  return Object.fromEntries(
    Object.entries(value)
      // Names of properties are the document's own; only keywords are ours to leave out.
      .filter(([key]) => isProperties || !(openApiOnly.includes(key) || key.startsWith('x-')))
      .map(([key, item]) => [key, copy(item, inside)]),
  )
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
