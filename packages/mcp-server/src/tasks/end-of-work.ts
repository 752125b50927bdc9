import {
  type CallToolResult,
  type InputRequiredResult,
  isInputRequiredResult,
  ProtocolError,
} from '@modelcontextprotocol/server'
import type { ToolLog } from '../tools/call-context.ts'
import type { Tool } from '../tools/define-tool.ts'
import { errorResult } from '../tools/tool-result.ts'
import { failure, type TaskEnd } from './task-state.ts'

/**
 * What a task ends with.
 *
 * @param work the call, which goes on
 */
export async function endOfWork(
  tool: Tool,
  work: Promise<CallToolResult | InputRequiredResult>,
  options: { maxResultBytes: number; log: ToolLog },
): Promise<TaskEnd> {
  const { log } = options
  try {
    const result = await work
    if (!isInputRequiredResult(result)) return { status: 'completed', result: kept(tool, result, options) }
    log.error({ tool: tool.name }, 'a task asks with ctx.elicit, not with a result')
    return failure('The tool asked in a way that tasks have not.')
  } catch (error) {
    if (!(error instanceof ProtocolError)) {
      log.error({ err: error }, 'task')
      return failure('Internal error')
    }
    const { code, message, data } = error
    return {
      status: 'failed',
      error: { code, message, ...(data !== undefined && { data }) },
      statusMessage: message,
    }
  }
}

/** What is too large is lost: the model must learn that the work is done nevertheless. */
function kept(
  tool: Tool,
  result: CallToolResult,
  { maxResultBytes, log }: { maxResultBytes: number; log: ToolLog },
): Record<string, unknown> {
  const bytes = Buffer.byteLength(JSON.stringify(result))
  if (bytes <= maxResultBytes) return { ...result }
  log.error(
    { tool: tool.name, bytes, maxResultBytes },
    'the result of a task is too large: return less, or raise tasks.maxResultBytes',
  )
  return {
    ...errorResult(
      `${tool.name} has done its work, but its result of ${bytes} bytes is lost: this server keeps at most ${maxResultBytes} bytes of a task.`,
    ),
  }
}
