import type { ServerContext } from '@modelcontextprotocol/server'
import { type ClientCapabilities, ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server'
import type { Caller, ClientCaller } from '../tools/call-context.ts'
import type { ClientExchange, Waiting } from './exchange.ts'
import type { OpenRound } from './open-round.ts'
import { createSessionExchange } from './session-exchange.ts'

/** A request that the SDK has taken in, as far as asking its client goes. */
export interface AskingRequest {
  readonly method: string
  readonly params?: object | undefined
  readonly caller: Caller | ClientCaller | undefined
  readonly era: 'modern' | 'legacy'
  /** What the client said when it connected (2025); with each request since 2026-07-28. */
  readonly capabilities: ClientCapabilities | undefined
}

/** How a connection that stays asks its client. */
export type ConnectionAsking = (
  context: ServerContext,
  request: AskingRequest,
) => Promise<ClientExchange | undefined>

/**
 * Asks over a connection that stays, with one client on it: in the middle of the call (2025), or in rounds (2026-07-28).
 * The asking function throws a `ProtocolError` when a request brings a state that is not its own (R161).
 */
export function createConnectionAsking({
  openRound,
  timing,
  stopping,
}: Waiting & { openRound: OpenRound }): ConnectionAsking {
  return async (context, { method, params, caller, era, capabilities = {} }) => {
    const { mcpReq } = context
    if (era === 'legacy') return createSessionExchange(context, { capabilities, timing, stopping })
    // The SDK keeps these apart from the parameters that handlers see.
    const { inputResponses, envelope } = mcpReq
    const requestState = mcpReq.requestState()
    const body = {
      method,
      params: {
        ...params,
        _meta: envelope,
        ...(inputResponses && { inputResponses }),
        ...(requestState !== undefined && { requestState }),
      },
    }
    const round = await openRound(body, caller, mcpReq.signal)
    if (round !== 'refused') return round
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'Invalid or expired requestState', {
      reason: 'invalid_request_state',
    })
  }
}
