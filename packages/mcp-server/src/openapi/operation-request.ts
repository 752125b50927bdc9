import { ToolError } from '../tools/tool-error.ts'
import { isObject } from './json-schema.ts'
import type { Operation, OperationParameter } from './operations.ts'

/** Arguments of a call, validated against the operation's schema. */
export type Arguments = Readonly<Record<string, unknown>>

/**
 * The request of one call. Values travel as the document says (OpenAPI 3.1 §4.8.12.2) and cannot leave their place:
 * a path segment stays one, a header stays one line.
 *
 * @param baseUrl what the paths are below
 * @throws {ToolError} when a value cannot be sent where it belongs
 */
export function operationRequest(
  operation: Operation,
  input: Arguments,
  baseUrl: string,
): { url: string; init: { method: string; headers: Record<string, string>; body?: string } } {
  const given = operation.parameters.flatMap(parameter => {
    const value = input[parameter.argument]
    return value === undefined ? [] : [{ parameter, value }]
  })
  const path = operation.path.replace(/\{([^}]*)\}/g, (_, name: string) => {
    const found = given.find(({ parameter }) => parameter.in === 'path' && parameter.name === name)
    return pathSegment(name, found ? listed(found.value, ',') : '')
  })
  const query = given.flatMap(({ parameter, value }) =>
    parameter.in === 'query' ? queryPairs(parameter, value) : [],
  )
  const headers: Record<string, string> = { accept: 'application/json, text/*;q=0.8' }
  for (const { parameter, value } of given) {
    if (parameter.in === 'header') headers[parameter.name] = headerValue(parameter, value)
  }
  const body = operation.body && input[operation.body.argument]
  if (operation.body && body !== undefined) headers['content-type'] = operation.body.mediaType
  const search = query.map(pair => pair.map(encodeURIComponent).join('=')).join('&')
  return {
    url: `${baseUrl.replace(/\/$/, '')}${path}${search === '' ? '' : `?${search}`}`,
    init: {
      method: operation.method,
      headers,
      ...(operation.body && body !== undefined && { body: bodyText(operation.body.mediaType, body) }),
    },
  }
}

function pathSegment(name: string, value: string): string {
  // A URL parser would take these for steps in the path, and the call would go to another operation.
  if (value === '' || value === '.' || value === '..') throw new ToolError(`"${name}" cannot be "${value}".`)
  return encodeURIComponent(value)
}

function headerValue({ name }: OperationParameter, value: unknown): string {
  const text = listed(value, ',')
  if (/[^\t\x20-\x7e\x80-\xff]/.test(text)) throw new ToolError(`"${name}" must be one line of plain text.`)
  return text
}

function queryPairs({ name, style, explode }: OperationParameter, value: unknown): [string, string][] {
  if (style === 'json') return [[name, JSON.stringify(value)]]
  if (style === 'deepObject' && isObject(value)) {
    return Object.entries(value).map(([key, item]) => [`${name}[${key}]`, plain(item)])
  }
  if (explode && Array.isArray(value)) return value.map(item => [name, plain(item)])
  if (explode && isObject(value)) return Object.entries(value).map(([key, item]) => [key, plain(item)])
  const separators: Readonly<Record<string, string>> = { spaceDelimited: ' ', pipeDelimited: '|' }
  return [[name, listed(value, separators[style] ?? ',')]]
}

function bodyText(mediaType: string, body: unknown): string {
  if (/json\b/i.test(mediaType)) return JSON.stringify(body)
  if (mediaType.toLowerCase().startsWith('text/')) return plain(body)
  const fields = new URLSearchParams()
  for (const [key, value] of Object.entries(isObject(body) ? body : {})) {
    for (const item of Array.isArray(value) ? value : [value]) fields.append(key, plain(item))
  }
  return fields.toString()
}

/** Lists and objects on one line: `a,b` and `key,value`. */
function listed(value: unknown, separator: string): string {
  if (Array.isArray(value)) return value.map(plain).join(separator)
  if (isObject(value)) return Object.entries(value).flat().map(plain).join(separator)
  return plain(value)
}

const plain = (value: unknown): string =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
