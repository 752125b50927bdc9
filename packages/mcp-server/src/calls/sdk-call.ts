import type { ServerContext } from '@modelcontextprotocol/server'
import type { ClientExchange } from '../elicit/exchange.ts'
import type { Call, Caller, ClientCaller } from '../tools/call-context.ts'

/** A request that the SDK has taken in, as a call. */
export function sdkCall(
  method: string,
  params: Readonly<Record<string, unknown>> | undefined,
  context: ServerContext,
  caller: Caller | ClientCaller | undefined,
  era: Call['era'],
  exchange?: ClientExchange,
): Call {
  const { mcpReq } = context
  // The SDK keeps what the envelope says apart from the rest of `_meta`; handlers see the request as it came.
  const meta = { ...(params?._meta as object | undefined), ...mcpReq.envelope }
  return {
    id: mcpReq.id,
    method,
    params: Object.keys(meta).length > 0 ? { ...params, _meta: meta } : (params ?? {}),
    era,
    caller,
    ...(exchange && { exchange }),
    get signal() {
      return mcpReq.signal
    },
    client: async () => context,
  }
}
