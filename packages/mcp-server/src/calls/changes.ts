import { AsyncLocalStorage } from 'node:async_hooks'
import type { ServerEvent, ServerEventBus } from '@modelcontextprotocol/server'
import type { Clock } from '@sallyport/oauth'
import type { SourceHearing } from '../composition/offer-source.ts'
import type { Registry } from '../registry.ts'
import type { HasScopes } from '../scope-hierarchy.ts'
import type { Caller, ClientCaller } from '../tools/call-context.ts'
import { type CallServices, callerFor, isAllowed, isVisible, mayUse } from './perform.ts'
import type { SharedChanges } from './shared-changes.ts'
import type { Followed } from './subscriptions.ts'

/** Who listens. */
export type Listener = Caller | ClientCaller | undefined

/** Changes as somebody hears them. */
export interface HeardChanges extends ServerEventBus {
  /** @param followed resources whose changes they want to hear of; default: none is told when some may have been missed */
  subscribe(listener: (event: ServerEvent) => void, followed?: Followed): () => void
}

/** Somebody whose token may be renewed while they listen. */
export interface Hearer {
  caller(): Listener
  /** Takes what is to be done when the token was renewed: what could not be told meanwhile is made up for. */
  onRenewed?(catchUp: () => void): void
}

/** Changes as they reach those who listen: each hears of what they may use, for as long as their token lasts. */
export interface GuardedChanges extends ServerEventBus {
  /** Runs what subscribes on behalf of one caller, who follows some resources. */
  onBehalfOf<T>(listener: Listener, followed: readonly string[], run: () => T): T
  /** The same bus for one listener, whose token may be renewed while it listens. */
  heardBy(hearer: Hearer): HeardChanges
  /** Tells nothing more to listeners by the tokens of a sign-in that was revoked (R157). */
  endGrant(grantId: string): void
}

const listsChanged: readonly ServerEvent[] = [
  { kind: 'tools_list_changed' },
  { kind: 'prompts_list_changed' },
  { kind: 'resources_list_changed' },
]

/**
 * Puts a guard between a bus and its listeners. Whoever subscribes outside of `onBehalfOf` counts as nobody. Where
 * changes may have been missed, listeners are told that everything they follow has changed.
 *
 * @param options.services what sources that tell a listener of their own changes call with; default: there are none
 */
export function guardChanges(
  changes: Pick<SharedChanges, 'publish' | 'subscribe' | 'onGap'>,
  options: {
    registry: Registry
    hasScopes: HasScopes
    services?: CallServices
    clock: Clock
    onError: (error: unknown) => void
  },
): GuardedChanges {
  const { registry, hasScopes, services, clock, onError } = options
  const listeners = new AsyncLocalStorage<{ caller: Listener; followed: readonly string[] }>()

  const hearers = new Set<Hearer>()
  const revoked = new WeakSet<Caller | ClientCaller>()
  const hasEnded = (caller: Listener) =>
    caller !== undefined && (caller.expiresAt <= clock() || revoked.has(caller))
  const mayHear = async (event: ServerEvent, caller: Listener): Promise<boolean> => {
    if (event.kind !== 'resource_updated') return true
    const found = registry.findResource(event.uri)
    if (!found || !(await isVisible(found.resource, caller, hasScopes))) return false
    const { rule } = found.resource
    const known = callerFor(rule, caller)
    return mayUse(rule, known, hasScopes) && (await isAllowed(rule, known, found.variables))
  }

  const heardBy = (hearer: Hearer): HeardChanges => ({
    publish: event => changes.publish(event),
    subscribe(listener, followed = []) {
      let hasMissed = false
      let last = Promise.resolve()
      /** In the order of the changes, however long it takes to find out who may hear of one. */
      const tell = (event: ServerEvent) => {
        const told = last.then(async () => {
          const caller = hearer.caller()
          if (hasEnded(caller)) hasMissed = true
          else if (await mayHear(event, caller)) listener(event)
        })
        last = told.catch(onError)
      }
      const tellAll = () => {
        for (const event of listsChanged) tell(event)
        for (const uri of followed) tell({ kind: 'resource_updated', uri })
      }
      const hearings = services ? hearSources(services) : []
      const refresh = () => {
        for (const hearing of hearings) hearing.refresh()
      }
      hearer.onRenewed?.(() => {
        refresh()
        if (!hasMissed || hasEnded(hearer.caller())) return
        hasMissed = false
        tellAll()
      })
      const stops = [
        changes.subscribe(tell),
        changes.onGap(tellAll),
        followed.onChange?.(refresh) ?? (() => {}),
        ...hearings.map(hearing => hearing.close),
      ]
      hearers.add(hearer)
      return () => {
        hearers.delete(hearer)
        for (const stop of stops) stop()
      }

      /** What changes in sessions that sources have for this listener. */
      function hearSources(services: CallServices): SourceHearing[] {
        return registry.sources().flatMap(source => {
          const hearing = source.hear?.({
            asking() {
              const caller = hearer.caller()
              return hasEnded(caller) ? undefined : { caller, services }
            },
            followed: () => [...followed].filter(uri => registry.sourceOf(uri) === source),
            listsChanged() {
              for (const event of listsChanged) tell(event)
            },
            resourceUpdated: uri => tell({ kind: 'resource_updated', uri }),
          })
          return hearing ?? []
        })
      }
    },
  })

  return {
    publish: event => changes.publish(event),
    subscribe(listener) {
      const { caller, followed = [] } = listeners.getStore() ?? {}
      return heardBy({ caller: () => caller }).subscribe(listener, followed)
    },
    heardBy,
    endGrant(grantId) {
      for (const { caller } of hearers) {
        const listener = caller()
        if (listener?.grantId === grantId) revoked.add(listener)
      }
    },
    onBehalfOf: (caller, followed, run) => listeners.run({ caller, followed }, run),
  }
}
