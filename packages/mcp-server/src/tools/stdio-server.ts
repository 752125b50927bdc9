import type { ServerEventBus } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import type { EventSink } from '@sallyport/oauth'
import type { HeardChanges } from '../calls/changes.ts'
import { createLists, type ListSettings } from '../calls/lists.ts'
import type { CallServices } from '../calls/perform.ts'
import type { InFlight } from '../in-flight.ts'
import type { Log } from '../log.ts'
import type { Registry } from '../registry.ts'
import { hasScopes } from '../scope-hierarchy.ts'
import { createSdkServer, type SdkServerParts, type SdkServerUse } from './sdk-server.ts'
import type { ServerIdentity } from './server-identity.ts'

/** A server on stdin and stdout. */
export interface StdioHandle {
  close(): Promise<void>
}

/**
 * Serves over stdio, where there is one client.
 *
 * @param options.admit who calls, found out anew at each request. Default: nobody, which is right where all is public
 */
export function serveOffers(
  parts: SdkServerParts,
  options: { changes: HeardChanges; admit?: SdkServerUse['admit']; log: Log },
): StdioHandle {
  const { changes, admit, log } = options
  return serveStdio(
    ({ era }) =>
      createSdkServer(parts, {
        caller: undefined,
        era,
        hearsChanges: true,
        changes,
        ...(admit && { admit }),
      }),
    { onerror: error => log.debug({ err: error }, 'mcp') },
  )
}

/** Serves what is all public: nobody is signed in, and nothing is opened that only they would need. */
export function servePublicOffers(options: {
  identity: ServerIdentity
  registry: Registry
  lists: ListSettings
  changes: ServerEventBus
  exposeErrors: boolean
  emit: EventSink
  log: Log
  inFlight: InFlight
}): StdioHandle {
  const { identity, registry, changes, exposeErrors, emit, log } = options
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
  return serveOffers({ identity, registry, services, lists }, { changes, log })
}
