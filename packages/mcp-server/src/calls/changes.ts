import { AsyncLocalStorage } from 'node:async_hooks'
import type { ServerEvent, ServerEventBus } from '@modelcontextprotocol/server'
import type { Clock } from '@sallyport/oauth'
import type { Registry } from '../registry.ts'
import type { HasScopes } from '../scope-hierarchy.ts'
import type { Caller, ClientCaller } from '../tools/call-context.ts'
import { callerFor, isAllowed, isVisible, mayUse } from './perform.ts'

/** Who listens. */
export type Listener = Caller | ClientCaller | undefined

/** Changes as they reach those who listen: each hears of what they may use, for as long as their token lasts. */
export interface GuardedChanges extends ServerEventBus {
  /** Runs what subscribes on behalf of one caller. */
  onBehalfOf<T>(listener: Listener, run: () => T): T
  /** The same bus for one listener, whose token may be renewed while it listens. */
  heardBy(listener: () => Listener): ServerEventBus
}

/**
 * Puts a guard between a bus and its listeners. Whoever subscribes outside of `onBehalfOf` counts as nobody.
 */
export function guardChanges(
  changes: ServerEventBus,
  options: {
    registry: Registry
    hasScopes: HasScopes
    clock: Clock
    onError: (error: unknown) => void
  },
): GuardedChanges {
  const { registry, hasScopes, clock, onError } = options
  const listeners = new AsyncLocalStorage<{ caller: Listener }>()

  const mayHear = async (event: ServerEvent, caller: Listener): Promise<boolean> => {
    if (caller && caller.expiresAt <= clock()) return false
    if (event.kind !== 'resource_updated') return true
    const found = registry.findResource(event.uri)
    if (!found || !(await isVisible(found.resource, caller, hasScopes))) return false
    const { rule } = found.resource
    const known = callerFor(rule, caller)
    return mayUse(rule, known, hasScopes) && (await isAllowed(rule, known, found.variables))
  }

  const heardBy = (callerNow: () => Listener): ServerEventBus => ({
    publish: event => changes.publish(event),
    subscribe: listener =>
      changes.subscribe(event => {
        mayHear(event, callerNow()).then(heard => {
          if (heard) listener(event)
        }, onError)
      }),
  })

  return {
    publish: event => changes.publish(event),
    subscribe(listener) {
      const caller = listeners.getStore()?.caller
      return heardBy(() => caller).subscribe(listener)
    },
    heardBy,
    onBehalfOf: (caller, run) => listeners.run({ caller }, run),
  }
}
