import type { ServerEventBus, Transport } from '@modelcontextprotocol/server'
import { StdioServerTransport, serveStdio } from '@modelcontextprotocol/server/stdio'
import {
  type Clock,
  createMemoryStore,
  createSealer,
  createSecretRing,
  type EventSink,
  type RandomBytes,
} from '@sallyport/oauth'
import { guardChanges, type HeardChanges } from '../calls/changes.ts'
import { createLists, type ListSettings } from '../calls/lists.ts'
import type { CallServices } from '../calls/perform.ts'
import { type ConnectionAsking, createConnectionAsking } from '../elicit/connection-asking.ts'
import { defaultTiming, type ExchangeTiming } from '../elicit/exchange.ts'
import { createOpenRound } from '../elicit/open-round.ts'
import { createRequestStates } from '../elicit/request-state.ts'
import type { InFlight } from '../in-flight.ts'
import type { Log } from '../log.ts'
import type { Registry } from '../registry.ts'
import { hasScopes } from '../scope-hierarchy.ts'
import { createSdkServer, type SdkServerParts, type SdkServerUse } from '../tools/sdk-server.ts'
import type { ServerIdentity } from '../tools/server-identity.ts'
import { withListened } from './listened.ts'

/** A server on stdin and stdout. */
export interface StdioHandle {
  /** Waits for no person any more: calls that asked one end. Absent: whoever made the server does that. */
  stopAsking?(): void
  close(): Promise<void>
}

/**
 * Serves over stdio, where there is one client.
 *
 * @param options.admit who calls, found out anew at each request. Default: nobody, which is right where all is public
 * @param options.asking how calls ask the client
 * @param options.transport Default: stdin and stdout of this process
 */
export function serveOffers(
  parts: SdkServerParts,
  options: {
    changes: HeardChanges
    admit?: SdkServerUse['admit']
    asking: ConnectionAsking
    transport?: Transport | undefined
    log: Log
  },
): StdioHandle {
  const { changes, admit, asking, log } = options
  const { transport, listened } = withListened(options.transport ?? new StdioServerTransport())
  return serveStdio(
    ({ era }) =>
      createSdkServer(parts, {
        caller: undefined,
        era,
        hearsChanges: true,
        changes,
        ...(era === 'modern' && { subscriptions: listened }),
        exchangeOf: asking,
        ...(admit && { admit }),
      }),
    { onerror: error => log.debug({ err: error }, 'mcp'), transport },
  )
}

/** Serves what is all public: nobody is signed in, and nothing is opened that only they would need. */
export function servePublicOffers(options: {
  identity: ServerIdentity
  registry: Registry
  lists: ListSettings
  changes: ServerEventBus
  exposeErrors: boolean
  timing: Partial<ExchangeTiming>
  emit: EventSink
  log: Log
  clock: Clock
  random: RandomBytes
  inFlight: InFlight
  /** Default: stdin and stdout of this process. */
  transport?: Transport
}): StdioHandle {
  const { identity, registry, changes, exposeErrors, emit, log, clock, random, transport } = options
  const services: CallServices = {
    providers: new Map(),
    connectLink: () => Promise.reject(new Error('nobody is signed in')),
    hasScopes,
    exposeErrors,
    emit,
    log,
    now: () => performance.now(),
    track: options.inFlight.track,
  }
  const lists = createLists(registry, services, options.lists)
  const stop = new AbortController()
  const waiting = { timing: { ...defaultTiming, ...options.timing }, stopping: stop.signal }
  // What the client brings back is good for as long as it talks to this process, and needs no secret of a machine.
  const secret = Buffer.from(random(32)).toString('base64url')
  const store = createMemoryStore()
  const states = createRequestStates({
    sealer: createSealer(createSecretRing([secret]), random, 'request-state'),
    tenant: store.tenant,
    store,
    clock,
    random,
  })
  const openRound = createOpenRound({ states, ...waiting, clock, emit })
  const asking = createConnectionAsking({ openRound, ...waiting })
  const guarded = guardChanges(
    {
      publish: event => changes.publish(event),
      subscribe: listener => changes.subscribe(listener),
      onGap: () => () => {},
    },
    {
      registry,
      hasScopes,
      services,
      clock,
      onError: error => log.error({ err: error }, 'a change could not be told'),
    },
  )
  const heard = guarded.heardBy({ caller: () => undefined })
  const parts = { identity, registry, services, lists }
  const handle = serveOffers(parts, { changes: heard, asking, log, transport })
  return { ...handle, stopAsking: () => stop.abort() }
}
