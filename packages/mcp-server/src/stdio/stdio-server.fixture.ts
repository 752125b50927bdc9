import { InMemoryTransport } from '@modelcontextprotocol/server'
import { type SallyportEvent, systemClock, systemRandom } from '@sallyport/oauth'
import { createInFlight } from '../in-flight.ts'
import { createLogger } from '../log.ts'
import type { AnyServer } from '../server.ts'
import { partsOf } from '../server-parts.ts'
import { servePublicOffers } from './stdio-server.ts'

const log = createLogger({ name: 'test', level: 'silent', readable: false })

/** Serves what is all public as over stdio, with pipes of this process. */
export async function serveThroughPipes(server: AnyServer) {
  const { registry, changes, options } = partsOf(server)!
  const events: SallyportEvent[] = []
  const inFlight = createInFlight()
  registry.prepare()
  await Promise.all(registry.sources().map(source => source.open(log)))
  const [ours, theirs] = InMemoryTransport.createLinkedPair()
  const handle = servePublicOffers({
    identity: { info: { name: options.name, version: options.version } },
    registry,
    lists: { pageSize: undefined, cache: undefined },
    changes,
    exposeErrors: false,
    timing: {},
    emit: event => events.push(event),
    log,
    clock: systemClock,
    random: systemRandom,
    inFlight,
    transport: ours,
  })
  return {
    /** The end of the client. */
    transport: theirs,
    events,
    inFlight,
    stopAsking: () => handle.stopAsking?.(),
    async close() {
      await handle.close()
      await Promise.all(registry.sources().map(source => source.close()))
    },
  }
}
