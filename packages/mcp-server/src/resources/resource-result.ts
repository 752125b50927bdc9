import {
  type InputRequiredResult,
  isInputRequiredResult,
  isSpecType,
  type ReadResourceResult,
} from '@modelcontextprotocol/server'
import { base64 } from '../content/content.ts'
import { jsonText } from '../content/json-text.ts'

/**
 * What a handler returned, as contents of a resource; undefined when it returned nothing.
 *
 * @param mimeType what the resource declares
 * @throws {TypeError} when JSON cannot hold the value
 */
export function resourceResult(
  value: unknown,
  uri: string,
  mimeType: string | undefined,
): ReadResourceResult | InputRequiredResult | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') {
    return { contents: [{ uri, mimeType: mimeType ?? 'text/plain', text: value }] }
  }
  if (value instanceof Uint8Array || value instanceof ArrayBuffer) {
    return { contents: [{ uri, mimeType: mimeType ?? 'application/octet-stream', blob: base64(value) }] }
  }
  if (isInputRequiredResult(value)) return value
  if (hasContents(value) && isSpecType.ReadResourceResult(value)) return value
  const text = jsonText(value, 'The resource') ?? ''
  return { contents: [{ uri, mimeType: mimeType ?? 'application/json', text }] }
}

const hasContents = (value: unknown): boolean =>
  Array.isArray((value as { contents?: unknown }).contents) &&
  (value as { contents: unknown[] }).contents.length > 0
