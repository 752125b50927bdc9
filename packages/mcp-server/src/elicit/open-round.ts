import type { ClientCapabilities } from '@modelcontextprotocol/server'
import type { Clock, EventSink } from '@sallyport/oauth'
import type { Caller, ClientCaller } from '../tools/call-context.ts'
import type { ClientExchange, Waiting } from './exchange.ts'
import { type RequestStates, requestBinding } from './request-state.ts'
import { createRoundsExchange } from './rounds.ts'

/** Requests whose results may ask for input (MCP 2026-07-28, multi round-trip requests). */
const methods: ReadonlySet<unknown> = new Set(['tools/call', 'prompts/get', 'resources/read'])

const capabilitiesKey = 'io.modelcontextprotocol/clientCapabilities'

/** Opens the round that a request is: `refused` when it brings a state that is not its own (R161). */
export type OpenRound = (
  body: unknown,
  caller: Caller | ClientCaller | undefined,
  signal: AbortSignal,
) => Promise<ClientExchange | 'refused' | undefined>

/** Creates the way in for requests of 2026-07-28. */
export function createOpenRound(
  options: Waiting & { states: RequestStates; clock: Clock; emit: EventSink },
): OpenRound {
  const { states, timing, stopping, clock, emit } = options
  return async (body, caller, signal) => {
    const { method, params: anyParams } = asObject(body)
    if (typeof method !== 'string' || !methods.has(method)) return undefined
    const params = asObject(anyParams)
    let bound: string | undefined
    const binding = () => {
      bound ??= requestBinding(caller, method, params)
      return bound
    }
    const { requestState } = params
    const state = typeof requestState === 'string' ? await states.open(binding(), requestState) : undefined
    if (requestState !== undefined && !state) {
      const userId = caller?.userId
      emit({ type: 'request_state_refused', operation: method, ...(userId !== undefined && { userId }) })
      return 'refused'
    }
    return createRoundsExchange({
      capabilities: asObject(asObject(params._meta)[capabilitiesKey]) as ClientCapabilities,
      state,
      responses: asObject(params.inputResponses),
      signal,
      seal: next => states.seal(binding(), next),
      clock,
      timing,
      stopping,
    })
  }
}

const asObject = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}
