import { type CallToolResult, isCallToolResult } from '@modelcontextprotocol/server'

/** A result the model reads as a failure, with a text it can act on. */
export const errorResult = (text: string): CallToolResult => ({
  content: [{ type: 'text', text }],
  isError: true,
})

/**
 * What a handler returned, as a tool result: a text is one text block, a whole result passes, nothing is an
 * empty result, anything else is JSON text, and structured content too when the tool declares an output schema.
 *
 * @throws {TypeError} when JSON cannot hold the value
 */
export function toolResult(value: unknown, hasOutputSchema: boolean): CallToolResult {
  if (hasContent(value) && isCallToolResult(value)) return value
  const structured = hasOutputSchema ? { structuredContent: value as Record<string, unknown> } : {}
  if (typeof value === 'string') return { content: [{ type: 'text', text: value }], ...structured }
  const text = JSON.stringify(value)
  return { content: text === undefined ? [] : [{ type: 'text', text }], ...structured }
}

/** A data object that happens to pass as an empty result is data: a result says so by its content. */
const hasContent = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Array.isArray((value as { content?: unknown }).content)
