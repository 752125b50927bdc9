import {
  type GetPromptResult,
  type InputRequiredResult,
  isInputRequiredResult,
  ProtocolError,
  ProtocolErrorCode,
} from '@modelcontextprotocol/server'
import { type CallServices, perform, report } from '../calls/perform.ts'
import type { PromptCall } from '../composition/call-middleware.ts'
import type { Call } from '../tools/call-context.ts'
import type { Prompt } from './define-prompt.ts'
import { promptResult } from './prompt-result.ts'

/**
 * Makes the messages of one prompt.
 *
 * @throws {ProtocolError} -32602 when the arguments do not fit or the caller may not; -32603 when the handler fails
 */
export async function getPrompt(
  prompt: Prompt,
  call: Call,
  services: CallServices,
): Promise<GetPromptResult | InputRequiredResult> {
  let input: unknown = {}
  if (prompt.input) {
    const parsed = await prompt.input.parse(call.params.arguments ?? {})
    if (parsed.problem !== undefined) {
      throw new ProtocolError(
        ProtocolErrorCode.InvalidParams,
        `Invalid arguments for prompt ${prompt.name}: ${parsed.problem}`,
      )
    }
    input = parsed.value
  }
  const startedAt = services.now()
  const outcome = await services.track(
    perform(prompt, { call, input, exchange: call.exchange }, services, async context => {
      const { around } = prompt
      if (!around) return promptResult(await prompt.run(input, context))
      const use: PromptCall = { kind: 'prompt', name: prompt.name, input, context }
      const result = await around(use, () => prompt.run(input, context), promptResult)
      return result as ReturnType<typeof promptResult>
    }),
  )
  // The call goes on with the client's next request.
  if (outcome.failure === undefined && isInputRequiredResult(outcome.value)) return outcome.value
  report(prompt, call, { startedAt, ok: outcome.failure === undefined }, services)
  if (outcome.failure === undefined) return outcome.value
  throw new ProtocolError(
    outcome.refused ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError,
    outcome.failure,
  )
}
