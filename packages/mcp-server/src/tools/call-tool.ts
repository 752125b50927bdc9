import {
  type CallToolResult,
  type InputRequiredResult,
  isInputRequiredResult,
} from '@modelcontextprotocol/server'
import { type CallServices, perform, report } from '../calls/perform.ts'
import type { Around } from '../composition/around.ts'
import type { AnyCallContext, Call } from './call-context.ts'
import type { Tool } from './define-tool.ts'
import { errorResult, resultFor, toolResult, wholeResult } from './tool-result.ts'

/**
 * Calls one tool; whatever happens in it becomes a result, or a result that asks the client for input.
 *
 * @throws {UrlElicitationRequiredError} when that is how the exchange asks the client
 */
export async function callTool(
  tool: Tool,
  call: Call,
  services: CallServices,
): Promise<CallToolResult | InputRequiredResult> {
  const startedAt = services.now()
  const result = await services.track(attempt(tool, call, services))
  // The call goes on with the client's next request.
  if (isInputRequiredResult(result)) return result
  report(tool, call, { startedAt, ok: result.isError !== true }, services)
  return result
}

async function attempt(
  tool: Tool,
  call: Call,
  services: CallServices,
): Promise<CallToolResult | InputRequiredResult> {
  let input: unknown = {}
  if (tool.input) {
    const pending = tool.input.parse(call.params.arguments ?? {})
    const parsed = pending instanceof Promise ? await pending : pending
    if (parsed.problem !== undefined) {
      return errorResult(`Input validation error: Invalid arguments for tool ${tool.name}: ${parsed.problem}`)
    }
    input = parsed.value
  }
  const outcome = await perform(tool, { call, input, exchange: call.exchange }, services, async context => {
    const result = tool.around
      ? await throughMiddleware(tool, tool.around, input, context)
      : await shaped(tool, await tool.run(input, context))
    return isInputRequiredResult(result) ? result : resultFor(call.era, result, tool.output?.json)
  })
  return outcome.failure === undefined ? outcome.value : errorResult(outcome.failure)
}

async function throughMiddleware(
  tool: Tool,
  around: Around,
  input: unknown,
  context: AnyCallContext,
): Promise<CallToolResult | InputRequiredResult> {
  // What passed the output schema once need not pass it again: it may not be what goes in there.
  const fitting = new Set<unknown>()
  const result = await around(
    { kind: 'tool', name: tool.name, input, context },
    () => tool.run(input, context),
    value => shaped(tool, value, fitting),
  )
  return result as CallToolResult | InputRequiredResult
}

/**
 * What the handler returned, as a result. Structured content is what its schema makes of it: what the schema does not
 * name does not leave the server.
 *
 * @param fitting structured content that is known to fit; what fits is added
 * @throws {Error} when it does not fit
 */
async function shaped(
  tool: Tool,
  value: unknown,
  fitting?: Set<unknown>,
): Promise<CallToolResult | InputRequiredResult> {
  const { output } = tool
  if (!output) return toolResult(value, false)
  const fitted = async (structured: unknown) => {
    if (fitting?.has(structured)) return structured
    const parsed = await output.parse(structured)
    if (parsed.problem === undefined) {
      fitting?.add(parsed.value)
      return parsed.value
    }
    throw new Error(`The result of tool "${tool.name}" does not fit its output schema: ${parsed.problem}`)
  }
  const whole = wholeResult(value)
  if (!whole) return toolResult(await fitted(value), true)
  if (isInputRequiredResult(whole) || whole.isError) return whole
  if (whole.structuredContent === undefined) {
    throw new Error(`Tool "${tool.name}" has an output schema, and its result has no structuredContent.`)
  }
  return { ...whole, structuredContent: (await fitted(whole.structuredContent)) as Record<string, unknown> }
}
