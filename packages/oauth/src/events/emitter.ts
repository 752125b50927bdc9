import {
  type EventFieldKind,
  type EventSink,
  eventFields,
  type RecordedEvent,
  type RecordedEventSink,
} from '../events.ts'
import { currentRequest } from '../request-scope.ts'
import type { Clock } from '../runtime.ts'

/**
 * Makes what all parts tell their events to. Each event is stamped, its fields are made to hold what they may
 * (`eventFields`), and every sink gets it; a sink that throws harms neither the others nor the request.
 *
 * @param options.onSinkError told what a sink threw
 */
export function createEventEmitter(
  sinks: readonly RecordedEventSink[],
  { clock, onSinkError }: { clock: Clock; onSinkError?: (error: unknown) => void },
): EventSink {
  return event => {
    const recorded = record(event, clock())
    for (const sink of sinks) {
      try {
        sink(recorded)
      } catch (error) {
        onSinkError?.(error)
      }
    }
  }
}

function record(event: Parameters<EventSink>[0], at: number): RecordedEvent {
  const { requestId, sourceHash } = currentRequest() ?? {}
  const recorded: Record<string, unknown> = {}
  // What an event brings stays: an event that was stamped further down is told on as it is.
  for (const [name, value] of Object.entries({ at, requestId, sourceHash, ...event })) {
    const kind = Object.hasOwn(eventFields, name) ? eventFields[name as keyof typeof eventFields] : undefined
    if (kind !== undefined && value !== undefined) recorded[name] = fitting(kind, value)
  }
  return recorded as unknown as RecordedEvent
}

const hashPattern = /^[\w-]{43}$/
const maxNameLength = 256
const maxNames = 64
/** Our own codes and tokens, registrations, JWTs and credentials of the usual providers: none of them is a name. */
const secretPattern = /\b(?:sp_(?:ac|at|rt)_|dcr\.|eyJ|ya29\.|GOCSPX-|Bearer\s|Basic\s)/i

/** R188, R190: a value that is not what its field holds is not passed on, so that no mistake of ours becomes a leak. */
function fitting(kind: EventFieldKind, value: unknown): unknown {
  switch (kind) {
    case 'number':
      return typeof value === 'number' && Number.isFinite(value) ? value : undefined
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined
    case 'hash':
      return typeof value === 'string' && hashPattern.test(value) ? value : '[invalid]'
    case 'names':
      return Array.isArray(value) ? value.slice(0, maxNames).map(name => fitting('name', name)) : []
    case 'name':
    case 'text':
      if (typeof value !== 'string' || secretPattern.test(value)) return '[invalid]'
      return value.slice(0, maxNameLength).replace(kind === 'name' ? /[^\x21-\x7e]/g : /[^\x20-\x7e]/g, '?')
  }
}
