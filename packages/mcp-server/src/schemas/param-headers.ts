import { ConfigurationError } from '@sallyport/oauth'

const annotation = 'x-mcp-header'

/** token of RFC 9110 §5.6.2. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

const types = new Set(['string', 'integer', 'boolean'])

/**
 * Whether an input schema names parameters that clients repeat in headers (`x-mcp-header`), so that what stands in
 * front of the server can route by them.
 *
 * @throws {ConfigurationError} when clients would leave the tool out because of how it does so
 */
export function declaresParamHeaders(json: Readonly<Record<string, unknown>>, where: string): boolean {
  const names = new Set<string>()
  const refusal = (path: readonly string[], reason: string) =>
    new ConfigurationError(`x-mcp-header of ${where} at ${path.join('.') || 'the root'} ${reason}.`)
  const visit = (node: unknown, path: readonly string[], reachable: boolean): void => {
    if (typeof node !== 'object' || node === null) return
    if (Array.isArray(node)) {
      for (const each of node) visit(each, path, false)
      return
    }
    const schema = node as Record<string, unknown>
    const name = schema[annotation]
    if (name !== undefined) {
      if (!reachable || path.length === 0)
        throw refusal(path, 'must be on a property, not inside a list or a choice')
      if (typeof name !== 'string' || !token.test(name)) throw refusal(path, 'must be the name of a header')
      if (!types.has(String(schema.type))) throw refusal(path, 'must be on a string, an integer or a boolean')
      if (names.has(name.toLowerCase())) throw refusal(path, `repeats the name ${name}`)
      names.add(name.toLowerCase())
    }
    for (const [key, child] of Object.entries(schema)) {
      if (key === 'properties' && typeof child === 'object' && child !== null) {
        for (const [property, each] of Object.entries(child)) visit(each, [...path, property], reachable)
      } else if (!data.has(key)) visit(child, path, false)
    }
  }
  visit(json, [], true)
  return names.size > 0
}

/** Keywords whose values are values, not schemas. */
const data = new Set(['const', 'enum', 'default', 'examples'])
