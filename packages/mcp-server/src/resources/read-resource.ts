import {
  type InputRequiredResult,
  isInputRequiredResult,
  ProtocolError,
  ProtocolErrorCode,
  type ReadResourceResult,
  ResourceNotFoundError,
} from '@modelcontextprotocol/server'
import { type CallServices, perform, report } from '../calls/perform.ts'
import type { ResourceCall } from '../composition/call-middleware.ts'
import type { Call } from '../tools/call-context.ts'
import type { Resource } from './define-resource.ts'
import { resourceResult } from './resource-result.ts'

/** A resource, and what its template finds in the URI that was asked for. */
export interface FoundResource {
  readonly resource: Resource
  readonly variables: Readonly<Record<string, string | string[]>>
}

/**
 * Reads one resource.
 *
 * @throws {ProtocolError} -32602 when there is none or the caller may not; -32603 when the handler fails
 */
export async function readResource(
  { resource, variables }: FoundResource,
  uri: string,
  call: Call,
  services: CallServices,
): Promise<ReadResourceResult | InputRequiredResult> {
  const startedAt = services.now()
  const outcome = await services.track(
    perform(resource, { call, input: variables, exchange: call.exchange }, services, async context => {
      const settle = (value: unknown) => resourceResult(value, uri, resource.mimeType)
      const { around } = resource
      if (!around) return settle(await resource.run(variables, context))
      const read: ResourceCall = { kind: 'resource', name: resource.name, input: variables, uri, context }
      return (await around(read, () => resource.run(variables, context), settle)) as ReturnType<typeof settle>
    }),
  )
  // The call goes on with the client's next request.
  if (outcome.failure === undefined && isInputRequiredResult(outcome.value)) return outcome.value
  report(resource, call, { startedAt, ok: outcome.failure === undefined }, services)
  if (outcome.failure !== undefined) {
    throw new ProtocolError(
      outcome.refused ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError,
      outcome.failure,
    )
  }
  const { value } = outcome
  if (value === undefined) throw new ResourceNotFoundError(uri)
  if (isInputRequiredResult(value) || call.era === 'legacy') return value
  // R199: what somebody had to sign in for is for them alone, whatever the handler says.
  if (resource.rule || call.caller) return { ...resource.cache, ...value, cacheScope: 'private' }
  return { ...resource.cache, ...value }
}
