import type { CallToolResult } from '@modelcontextprotocol/server'
import { collectBytes } from '../read-body.ts'
import { ToolError } from '../tools/tool-error.ts'

/** Longest answer that is passed on, in bytes: more than a model can read. */
const maxBytes = 1_048_576

/**
 * An API's answer as a tool result: JSON and text as they are, a failure with its status. What the API says about a
 * failure is shown too, for the model to mend its call.
 *
 * @throws {ToolError} when the answer is too long, or is neither JSON nor text
 */
export async function operationResult(response: Response): Promise<CallToolResult> {
  const type = response.headers.get('content-type') ?? ''
  const text = await readText(response)
  const isReadable = text === '' || /\bjson\b|^text\/|\bxml\b|x-www-form-urlencoded/i.test(type)
  if (!isReadable) throw new ToolError(`The API answered ${response.status} with what is no text.`)
  if (response.ok) return { content: text === '' ? [] : [{ type: 'text', text }] }
  return {
    content: [
      { type: 'text', text: `The API answered ${response.status}.${text === '' ? '' : `\n${text}`}` },
    ],
    isError: true,
  }
}

async function readText(response: Response): Promise<string> {
  const bytes = await collectBytes(response.body, maxBytes)
  if (!bytes) throw new ToolError('The API answered more than can be shown: ask for less.')
  return new TextDecoder().decode(bytes)
}
