import {
  type ContentBlock,
  type GetPromptResult,
  type InputRequiredResult,
  isInputRequiredResult,
  isSpecType,
} from '@modelcontextprotocol/server'
import type { PromptTurn } from './prompt-description.ts'

/**
 * What a handler returned, as a prompt result: a text or content is what the user says.
 *
 * @throws {TypeError} when it is none of what a prompt may return
 */
export function promptResult(value: unknown): GetPromptResult | InputRequiredResult {
  if (isInputRequiredResult(value)) return value
  if (isRecord(value) && Array.isArray(value.messages)) return checked(value)
  const turns = Array.isArray(value) ? value : [value]
  return checked({ messages: turns.map(messageOf) })
}

function messageOf(turn: unknown): unknown {
  if (typeof turn === 'string') return { role: 'user', content: textBlock(turn) }
  if (isRecord(turn) && 'role' in turn) {
    const { role, content } = turn as unknown as PromptTurn
    return { role, content: typeof content === 'string' ? textBlock(content) : content }
  }
  return { role: 'user', content: turn }
}

const textBlock = (text: string): ContentBlock => ({ type: 'text', text })

function checked(result: unknown): GetPromptResult {
  if (isSpecType.GetPromptResult(result)) return result as GetPromptResult
  throw new TypeError('A prompt must return a text, content, turns with role and content, or a whole result.')
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
