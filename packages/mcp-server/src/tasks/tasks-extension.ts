import { type ClientCapabilities, MissingRequiredClientCapabilityError } from '@modelcontextprotocol/server'
import type { Call } from '../tools/call-context.ts'

/** Name of the extension: MCP tasks. */
export const tasksExtension = 'io.modelcontextprotocol/tasks'

/** What a client says it can do, in the `_meta` of each request. */
const capabilitiesKey = 'io.modelcontextprotocol/clientCapabilities'

/** What the client of a call can do. */
export const capabilitiesOf = ({ params }: Pick<Call, 'params'>): ClientCapabilities =>
  (params._meta as Record<string, ClientCapabilities> | undefined)?.[capabilitiesKey] ?? {}

/** Whether a client of this call knows tasks. Those of the 2025 revisions have no way to. */
export const knowsTasks = (call: Pick<Call, 'params' | 'era'>): boolean =>
  call.era === 'modern' && capabilitiesOf(call).extensions?.[tasksExtension] !== undefined

/** For clients, when the store does not answer. */
export const unavailable = 'The server cannot answer now. Try again in a moment.'

/** The error for clients that do not know tasks. */
export const tasksRequired = (): MissingRequiredClientCapabilityError =>
  new MissingRequiredClientCapabilityError({ requiredCapabilities: { extensions: { [tasksExtension]: {} } } })
