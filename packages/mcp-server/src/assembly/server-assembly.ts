import { ConfigurationError, systemClock, systemRandom } from '@sallyport/oauth'
import { checkViews } from '../apps/check-views.ts'
import type { ListSettings } from '../calls/lists.ts'
import { withMounted } from '../composition/mounts.ts'
import type { Served } from '../create-mcp-app.ts'
import type { InFlight } from '../in-flight.ts'
import type { ServerParts } from '../server-parts.ts'
import type { ServerSetup } from '../server-setup.ts'
import { checkOffers } from '../sign-in.ts'
import type { ServerIdentity } from '../tools/server-identity.ts'
import { type Assembled, assemble } from './assemble.ts'

/** A server before anything of it depends on the machine. */
export interface ServerCore extends ServerParts {
  readonly identity: ServerIdentity
  readonly lists: ListSettings
  readonly setup: ServerSetup
  readonly inFlight: InFlight
}

/** The parts of one server, joined when they are first needed, and once. */
export interface ServerAssembly {
  /** Undefined as long as they are not joined. */
  readonly assembled: Assembled | undefined
  /** @throws {ConfigurationError} when what was declared cannot be served */
  check(): void
  /** From now on nothing can be declared any more. */
  freeze(): void
  openSources(): Promise<void>
  closeSources(): Promise<void>
  /** @param port where the server listens */
  build(port: number): Promise<Assembled>
  /** The parts, once they can serve. A start that failed is tried again by the next request. */
  served(): Promise<Served>
}

export function createServerAssembly({
  options,
  identity,
  registry,
  changes,
  http,
  mounts,
  lists,
  setup,
  inFlight,
}: ServerCore): ServerAssembly {
  let assembled: Assembled | undefined
  let assembling: Promise<Assembled> | undefined
  let ready: Promise<void> | undefined

  /** With what mounted servers need. */
  const merged = () => withMounted(options, mounts)

  const check = () => {
    registry.prepare()
    checkViews(registry)
    const { providers = [], scopes } = merged()
    checkOffers(registry.offers(), options.signIn, providers, options.issuer, scopes)
  }
  const freeze = () => {
    registry.freeze()
    http.freeze()
  }
  const openSources = async () => {
    await Promise.all(registry.sources().map(source => source.open(setup.logger())))
    for (const name of registry.unmatchedNames()) {
      setup.logger().warn({ name }, 'server.use names what neither this server nor one behind it has')
    }
  }
  const assembleAt = async (port: number): Promise<Assembled> => {
    check()
    const settings = merged()
    assembled = await assemble(
      {
        identity,
        config: setup.configured(),
        environment: setup.environment,
        registry,
        lists,
        changes,
        leanCalls: options.leanCalls ?? true,
        exposeErrors: options.exposeErrors ?? false,
        issuer: options.issuer,
        signIn: options.signIn,
        providers: settings.providers ?? [],
        settings,
        store: options.store,
        allowedHosts: options.allowedHosts ?? [],
        allowedOrigins: options.allowedOrigins ?? [],
        challengeOnConnect: options.challengeOnConnect,
        inBandChallenges: options.inBandChallenges ?? false,
        maxBodyBytes: options.maxBodyBytes ?? 1_048_576,
        sessions: options.sessions ?? {},
        timing: options.questionTiming ?? {},
        tasks: options.tasks ?? {},
        log: setup.logger(),
        emit: setup.emitter(),
        clock: options.clock ?? systemClock,
        random: options.random ?? systemRandom,
        inFlight,
      },
      setup.publicUrlAt(port),
      port,
    )
    freeze()
    return assembled
  }
  const build = (port: number): Promise<Assembled> => {
    assembling ??= assembleAt(port).catch(error => {
      assembling = undefined
      throw error
    })
    return assembling
  }

  return {
    get assembled() {
      return assembled
    },
    check,
    freeze,
    openSources,
    async closeSources() {
      await Promise.all(registry.sources().map(source => source.close()))
    },
    build,
    async served() {
      const { port, publicUrl } = setup.configured()
      if (!assembled && port === 0 && publicUrl === undefined) {
        throw new ConfigurationError(
          'PORT is 0 and PUBLIC_URL is not set: start the server, or set PUBLIC_URL.',
        )
      }
      const parts = await build(port)
      ready ??= Promise.all([parts.start(), openSources()]).then(() => {})
      try {
        await ready
      } catch (error) {
        ready = undefined
        throw error
      }
      return parts.served
    },
  }
}
