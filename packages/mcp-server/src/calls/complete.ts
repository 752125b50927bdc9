import { type CompleteResult, ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server'
import type { CompletionCall } from '../composition/call-middleware.ts'
import type { Registry } from '../registry.ts'
import type { Call } from '../tools/call-context.ts'
import { type CallServices, perform, seesOffer } from './perform.ts'

/** What one answer holds at most. */
const maxValues = 100

/**
 * Offers values for an argument of a prompt or a variable of a template.
 *
 * @throws {ProtocolError} -32602 when there is no such prompt or template, or the caller may not use it
 */
export async function complete(
  registry: Registry,
  call: Call,
  services: CallServices,
): Promise<CompleteResult> {
  const { ref, argument, context } = call.params as {
    ref: { type: string; name?: string; uri?: string }
    argument: { name: string; value: string }
    context?: { arguments?: Record<string, string> }
  }
  const isPrompt = ref.type === 'ref/prompt'
  const offer = isPrompt ? registry.prompt(ref.name ?? '') : registry.template(ref.uri ?? '')
  if (!offer || !(await seesOffer(offer, call.caller, services.hasScopes))) {
    // A resource without variables is a reference like any other, with nothing to complete.
    const resource = isPrompt ? undefined : registry.resources().find(({ name }) => name === ref.uri)
    if (await seesOffer(resource, call.caller, services.hasScopes)) return nothing
    throw new ProtocolError(
      ProtocolErrorCode.InvalidParams,
      isPrompt ? `Prompt ${ref.name} not found` : `Resource template ${ref.uri} not found`,
    )
  }
  const completer = offer.complete.get(argument.name)
  if (!completer) return nothing
  const outcome = await perform(offer, { call, input: undefined }, services, context_ => {
    const handle = () => completer(argument.value, context?.arguments ?? {}, context_)
    if (!offer.around) return handle()
    const search: CompletionCall = {
      kind: 'completion',
      name: offer.name,
      argument: argument.name,
      typed: argument.value,
      context: context_,
    }
    return offer.around(search, handle, listOfTexts) as Promise<readonly string[]>
  })
  if (outcome.failure !== undefined) {
    throw new ProtocolError(
      outcome.refused ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError,
      outcome.failure,
    )
  }
  const values = outcome.value
  return {
    completion: {
      values: values.slice(0, maxValues),
      total: values.length,
      hasMore: values.length > maxValues,
    },
  }
}

function listOfTexts(values: unknown): readonly string[] {
  if (Array.isArray(values) && values.every(value => typeof value === 'string')) return values
  throw new TypeError('A completion must be a list of texts.')
}

const nothing: CompleteResult = { completion: { values: [], hasMore: false } }
