import { InMemoryServerEventBus, type ServerNotifier } from '@modelcontextprotocol/server'
import {
  type Admin,
  ConfigurationError,
  createJsonLinesSink,
  type EventSink,
  type JsonLinesSink,
  StoreUnavailableError,
  systemClock,
  systemRandom,
} from '@sallyport/oauth'
import { checkViews } from './apps/check-views.ts'
import { type Assembled, assemble } from './assemble.ts'
import { banner } from './banner.ts'
import type { ListSettings } from './calls/lists.ts'
import { layerOf } from './composition/around.ts'
import { createHttpLayers } from './composition/http-middleware.ts'
import { mountServer, withMounted } from './composition/mounts.ts'
import { type Config, loadConfig } from './config.ts'
import { createMcpApp, isOwnPath } from './create-mcp-app.ts'
import { offersOf } from './decorators.ts'
import { createDirectCalls } from './direct-calls.ts'
import { unknownVariables } from './environment.ts'
import type { ExternalIssuer } from './external-issuer.ts'
import { failureResponse } from './failure-response.ts'
import { createInFlight } from './in-flight.ts'
import { createLazyAdmin } from './lazy-admin.ts'
import { type Listener, listen } from './listen.ts'
import { createEventSink, createLogger, type Log } from './log.ts'
import type { Offer } from './offers.ts'
import { guardProcess } from './process-guard.ts'
import { type AnyPromptDefinition, definePrompt } from './prompts/define-prompt.ts'
import type { Provider, SignIn } from './provider.ts'
import { type ProxyOptions, proxySettings } from './proxy/proxy-options.ts'
import { createRemoteSource } from './proxy/remote-source.ts'
import { createRegistry } from './registry.ts'
import type { RequestEnvironment } from './request-environment.ts'
import { type AnyResourceDefinition, defineResource } from './resources/define-resource.ts'
import type { Server, ServerOptions, SignedInBy, StartOptions } from './server.ts'
import { serverInfo } from './server-info.ts'
import { partsOf, rememberParts, type ServerParts } from './server-parts.ts'
import { checkOffers, isDevelopmentSignIn } from './sign-in.ts'
import { startStdio } from './stdio/start-stdio.ts'
import { defineTool } from './tools/define-tool.ts'
import { type StdioHandle, servePublicOffers } from './tools/stdio-server.ts'

const graceMs = 10_000

/** Creates a server. Nothing is opened, read or checked that depends on the machine until it starts. */
export function createServer<
  const S extends SignIn | undefined = undefined,
  const P extends readonly Provider[] = readonly [],
  const Scope extends string = string,
  const I extends string | ExternalIssuer | undefined = undefined,
>(options: ServerOptions<S, P, Scope, I>): Server<SignedInBy<S, I>, P, Scope> {
  return createServerOf(options)
}

/* * @param shared what another server is made of already. Default: nothing yet */
export function createServerOf<
  S extends SignIn | undefined,
  P extends readonly Provider[],
  Scope extends string = string,
  I extends string | ExternalIssuer | undefined = undefined,
>(
  options: ServerOptions<S, P, Scope, I>,
  shared?: Omit<ServerParts, 'options'>,
): Server<SignedInBy<S, I>, P, Scope> {
  const environment = options.environment ?? process.env
  const registry = shared?.registry ?? createRegistry()
  const http = shared?.http ?? createHttpLayers()
  const mounts = shared?.mounts ?? []
  const identity = { info: serverInfo(options), instructions: options.instructions }
  const lists = listSettings(options)
  const changes =
    shared?.changes ??
    new InMemoryServerEventBus(error => log?.error({ err: error }, 'a change could not be told'))
  const notify: ServerNotifier = {
    toolsChanged: () => changes.publish({ kind: 'tools_list_changed' }),
    promptsChanged: () => changes.publish({ kind: 'prompts_list_changed' }),
    resourcesChanged: () => changes.publish({ kind: 'resources_list_changed' }),
    resourceUpdated: uri => changes.publish({ kind: 'resource_updated', uri }),
  }
  const changed = (kind: Offer['kind']) => changes.publish({ kind: `${kind}s_list_changed` })
  const inFlight = createInFlight()
  const proxied = new Set<string | undefined>()
  let config: Config | undefined
  let log: Log | undefined
  let audit: JsonLinesSink | undefined
  let events: EventSink | undefined
  let assembled: Assembled | undefined
  let assembling: Promise<Assembled> | undefined
  let ready: Promise<void> | undefined
  let listener: Listener | undefined
  let stdio: StdioHandle | undefined
  let release: (() => void) | undefined
  let closing: Promise<void> | undefined

  const parts: ServerParts = { options: options as ServerOptions, registry, changes, http, mounts }
  /** With what mounted servers need. */
  const merged = () => withMounted(parts.options, mounts)

  const configured = (): Config => {
    config ??= loadConfig(options, environment)
    return config
  }
  const logger = (): Log => {
    if (log) return log
    const { logLevel: level, production } = configured()
    const readable = process.stderr.isTTY === true && !production
    log = options.logger ?? createLogger({ name: options.name, level, readable })
    for (const name of unknownVariables(environment)) {
      log.warn({ variable: name }, 'this environment variable is not one of ours and has no effect')
    }
    return log
  }
  /** What all parts tell their events to; opens the audit log. */
  const emitter = (): EventSink => {
    const { auditPath } = configured()
    if (auditPath !== undefined) audit ??= createJsonLinesSink(auditPath)
    events ??= createEventSink(logger(), {
      clock: options.clock ?? systemClock,
      sinks: [audit, options.onEvent].filter(sink => sink !== undefined),
    })
    return events
  }
  const publicUrlAt = (port: number) => configured().publicUrl ?? `http://localhost:${port}`

  const checkAll = () => {
    registry.prepare()
    checkViews(registry)
    checkOffers(registry.offers(), options.signIn, merged().providers ?? [], options.issuer)
  }
  const openSources = () => Promise.all(registry.sources().map(source => source.open(logger())))
  const freeze = () => {
    registry.freeze()
    http.freeze()
  }
  const assembleAt = async (port: number): Promise<Assembled> => {
    checkAll()
    const settings = merged()
    assembled = await assemble(
      {
        identity,
        config: configured(),
        environment,
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
        log: logger(),
        emit: emitter(),
        clock: options.clock ?? systemClock,
        random: options.random ?? systemRandom,
        inFlight,
      },
      publicUrlAt(port),
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
  /** The parts, once they can serve. A start that failed is tried again by the next request. */
  const served = async () => {
    const { port, publicUrl } = configured()
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
  }
  const app = createMcpApp(served, logger, http)

  const findAdmin = async (): Promise<Admin> => {
    await served()
    if (assembled?.admin) return assembled.admin
    throw new ConfigurationError(
      'The server has no sign-in, so there is nobody to administer: give it signIn.',
    )
  }

  const serve = async (request: Request, info: RequestEnvironment = {}) => app.fetch(request, info)

  const startHttp = async ({ silent = false, handleSignals = true }: StartOptions) => {
    const { port, host, directory, sessionProvider } = configured()
    const log = logger()
    checkAll()
    // Bound first: with port 0 the issuer is known only then, and a second start must not touch the store.
    // Requests that arrive before the parts are joined wait for them.
    let serving = false
    let open = () => {}
    let fail = (_: unknown) => {}
    const joined = new Promise<void>((resolve, reject) => {
      open = resolve
      fail = reject
    })
    joined.catch(() => {})
    listener = await listen(
      async (request, info) => {
        await joined
        return inFlight.track(serve(request, info))
      },
      { port, host },
      createDirectCalls(
        // HTTP middleware is the app's: what it stands around takes the long way.
        () => (serving && !http.concerns('POST', '/mcp') ? assembled?.served : undefined),
        inFlight,
        status => log.debug({ method: 'POST', path: '/mcp', status }, 'request'),
        error => failureResponse(error, log),
      ),
    )
    try {
      const parts = await build(listener.port)
      await served()
      serving = true
      open()
      release = guardProcess({ log, close: handleSignals ? () => server.close() : undefined })
      if (!silent) {
        process.stdout.write(
          `${banner({
            name: options.name,
            url: parts.url,
            dataFolder:
              options.signIn && !options.store && sessionProvider === 'file' ? directory : undefined,
            developmentSignIn: isDevelopmentSignIn(options.signIn),
          })}\n`,
        )
      }
      log.info({ url: parts.url }, 'listening')
    } catch (error) {
      fail(error)
      await server.close()
      throw error
    }
  }
  const startMounted = async () => {
    await served()
    logger().info({ url: server.url }, 'ready')
  }
  const serveOverStdio = async () => {
    const { port, token } = configured()
    registry.prepare()
    if (token === undefined && registry.offers().every(offer => !offer.rule)) {
      checkViews(registry)
      freeze()
      await openSources()
      const exposeErrors = options.exposeErrors ?? false
      const parts = {
        identity,
        registry,
        lists,
        changes,
        exposeErrors,
        emit: emitter(),
        log: logger(),
        inFlight,
      }
      stdio = servePublicOffers(parts)
      return
    }
    const assembled = await build(port)
    const { vouching } = assembled
    if (!vouching) {
      throw new ConfigurationError(
        'SALLYPORT_TOKEN has no effect on a server without signIn and issuer: remove it.',
      )
    }
    await served()
    stdio = await startStdio({
      ...vouching,
      verifier: vouching,
      identity,
      registry,
      lists,
      config: configured(),
      services: assembled.services,
      tasks: assembled.tasks,
      changes: assembled.changes,
      resource: assembled.url,
      publicUrl: publicUrlAt(port),
      defaultScopes: vouching.scopes,
      clientId: options.stdioClientId,
      serve: (request, info) => inFlight.track(serve(request, info)),
      log: logger(),
      clock: options.clock ?? systemClock,
      random: options.random ?? systemRandom,
    })
  }

  const server: Server<SignedInBy<S, I>, P, Scope> = {
    tool: (name, definition) =>
      registry.add(defineTool(name, definition as Parameters<typeof defineTool>[1]), changed),
    resource: (uri, definition) =>
      registry.add(defineResource(uri, definition as AnyResourceDefinition), changed),
    prompt: (name, definition) =>
      registry.add(definePrompt(name, definition as AnyPromptDefinition), changed),
    register(...instances) {
      for (const offer of instances.flatMap(offersOf)) registry.add(offer, changed)
    },
    use(first: unknown, ...rest: unknown[]) {
      if (typeof first === 'string') http.add(first, rest)
      else if (typeof first === 'function') registry.use(layerOf({}, first))
      else registry.use(layerOf(Object(first), rest[0]))
    },
    proxy(remote) {
      const hasSignIn = options.signIn !== undefined || options.issuer !== undefined
      const settings = proxySettings(remote as ProxyOptions, hasSignIn)
      if (proxied.has(settings.prefix)) {
        throw new ConfigurationError(
          `server.proxy of "${settings.label}" has the prefix of another, or neither has one: give each its own.`,
        )
      }
      proxied.add(settings.prefix)
      registry.addSource(
        createRemoteSource(settings, () => {
          for (const kind of ['tool', 'prompt', 'resource'] as const) changed(kind)
        }),
      )
    },
    mount: (prefix, other) => mountServer(parts, prefix, partsOf(Object(other))),
    notify,
    app,
    admin: createLazyAdmin(findAdmin),
    get url() {
      if (assembled) return assembled.url
      const { port, publicUrl } = configured()
      if (port === 0 && publicUrl === undefined)
        throw new ConfigurationError('PORT is 0: the URL is known after start().')
      return `${publicUrlAt(port)}/mcp`
    },
    async start(start = {}) {
      try {
        const transport = start.transport ?? configured().transport
        if (transport === 'stdio') {
          // The client has gone. What listens for the browser would keep the process.
          process.stdin.once('close', () => void server.close())
          await serveOverStdio()
        } else if (transport === 'mounted') await startMounted()
        else await startHttp(start)
      } catch (error) {
        const isOurs = error instanceof ConfigurationError || error instanceof StoreUnavailableError
        if (start.throwOnError || !isOurs) throw error
        // An uncaught error would bury the one sentence that helps under a stack trace.
        const sentence =
          error instanceof ConfigurationError
            ? error.message
            : 'The store does not answer: check that it runs, and SESSION_REDIS_URL if it is a Redis.'
        process.stderr.write(`${sentence}\n`)
        process.exit(1)
      }
    },
    async fetch(request, info) {
      await served()
      return inFlight.track(serve(request, info))
    },
    serves: isOwnPath,
    close() {
      closing ??= (async () => {
        release?.()
        listener?.stopAccepting()
        assembled?.served.mcp.stopAsking()
        const deadline = Date.now() + graceMs
        await withinGrace(inFlight.idle())
        await stdio?.close()
        await assembled?.served.mcp.close()
        await listener?.close(Math.max(0, deadline - Date.now()))
        await assembled?.close()
        await Promise.all(registry.sources().map(source => source.close()))
        audit?.close()
      })()
      return closing
    },
  }
  rememberParts(server, parts)
  return server
}

/** @throws {ConfigurationError} when lists cannot be served so */
function listSettings({ pageSize, cache }: Pick<ServerOptions, 'pageSize' | 'cache'>): ListSettings {
  if (pageSize !== undefined && !(Number.isSafeInteger(pageSize) && pageSize > 0)) {
    throw new ConfigurationError('pageSize must be a whole number of items, 1 or more.')
  }
  const { ttlMs = 0, cacheScope = 'private' } = cache ?? {}
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 0 || !['public', 'private'].includes(cacheScope)) {
    throw new ConfigurationError(
      'cache must have ttlMs, a whole number of milliseconds, and cacheScope, "public" or "private".',
    )
  }
  return { pageSize, cache }
}

/** Waits for work under way, but not for ever. */
async function withinGrace(idle: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const tooLong = new Promise<void>(resolve => {
    timer = setTimeout(resolve, graceMs)
  })
  await Promise.race([idle, tooLong])
  clearTimeout(timer)
}
