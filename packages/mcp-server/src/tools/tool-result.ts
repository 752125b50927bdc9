import {
  type CallToolResult,
  type InputRequiredResult,
  isCallToolResult,
  isInputRequiredResult,
} from '@modelcontextprotocol/server'

import { jsonText } from '../content/json-text.ts'

/** A result the model reads as a failure, with a text it can act on. */
export const errorResult = (text: string): CallToolResult => ({
  content: [{ type: 'text', text }],
  isError: true,
})

/**
 * What a handler returned, as a tool result: a text is one text block, content is content, a whole result passes,
 * nothing is an empty result, anything else is JSON text, and structured content too when the tool declares an output
 * schema.
 *
 * @throws {TypeError} when JSON cannot hold the value, or would hold nothing of it
 */
export function toolResult(value: unknown, hasOutputSchema: boolean): CallToolResult | InputRequiredResult {
  const whole = wholeResult(value)
  if (whole) return whole
  if (typeof value === 'object' && value !== null && !hasOutputSchema) {
    const blocks = Array.isArray(value) ? value : [value]
    if (blocks.length > 0 && blocks.every(isBlock) && isCallToolResult({ content: blocks })) {
      return { content: blocks }
    }
  }
  const structured = hasOutputSchema ? { structuredContent: value as Record<string, unknown> } : {}
  if (typeof value === 'string') return { content: [{ type: 'text', text: value }], ...structured }
  const text = jsonText(value, 'The tool')
  return { content: text === undefined ? [] : [{ type: 'text', text }], ...structured }
}

/**
 * A value that is a result already, or undefined. A data object that happens to pass as an empty result is data: a
 * result says so by its content.
 */
export function wholeResult(value: unknown): CallToolResult | InputRequiredResult | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (Array.isArray((value as { content?: unknown }).content) && isCallToolResult(value)) return value
  return isInputRequiredResult(value) ? value : undefined
}

const blockTypes = new Set(['text', 'image', 'audio', 'resource', 'resource_link'])

const isBlock = (value: unknown): value is CallToolResult['content'][number] =>
  blockTypes.has((value as { type?: string } | null)?.type ?? '')

/**
 * The result as an era's clients know it: revisions before 2026-07-28 take objects for structured content, so any
 * other value goes in one, as its schema does in their list of tools.
 */
export function resultFor(
  era: 'modern' | 'legacy',
  result: CallToolResult,
  outputJson: Readonly<Record<string, unknown>> | undefined,
): CallToolResult {
  const { structuredContent } = result as { structuredContent?: unknown }
  if (era === 'modern' || structuredContent === undefined) return result
  const isObject =
    typeof structuredContent === 'object' && structuredContent !== null && !Array.isArray(structuredContent)
  if (isObject && (outputJson === undefined || outputJson.type === 'object')) return result
  return { ...result, structuredContent: { result: structuredContent } }
}
