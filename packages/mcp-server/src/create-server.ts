import { InMemoryServerEventBus } from '@modelcontextprotocol/server'
import { type Admin, ConfigurationError, StoreUnavailableError } from '@sallyport/oauth'
import { createServerAssembly, type ServerCore } from './assembly/server-assembly.ts'
import { layerOf } from './composition/around.ts'
import { createHttpLayers } from './composition/http-middleware.ts'
import { mountServer } from './composition/mounts.ts'
import { createMcpApp, isOwnPath } from './create-mcp-app.ts'
import { offersOf } from './decorators.ts'
import type { ExternalIssuer } from './external-issuer.ts'
import { createInFlight } from './in-flight.ts'
import { createLazyAdmin } from './lazy-admin.ts'
import { listSettings } from './list-settings.ts'
import type { Offer } from './offers.ts'
import { type AnyPromptDefinition, definePrompt } from './prompts/define-prompt.ts'
import type { Provider, SignIn } from './provider.ts'
import { type ProxyOptions, proxySettings } from './proxy/proxy-options.ts'
import { createRemoteSource } from './proxy/remote-source.ts'
import { createRegistry } from './registry.ts'
import type { RequestEnvironment } from './request-environment.ts'
import { type AnyResourceDefinition, defineResource } from './resources/define-resource.ts'
import { createHttpServing } from './serve-http.ts'
import type { Server, ServerOptions, SignedInBy } from './server.ts'
import { serverInfo } from './server-info.ts'
import { checkServerOptions, checkStartOptions } from './server-options.ts'
import { partsOf, rememberParts, type ServerParts } from './server-parts.ts'
import { createServerSetup } from './server-setup.ts'
import { serveOverStdio } from './stdio/serve-stdio.ts'
import type { StdioHandle } from './stdio/stdio-server.ts'
import { defineTool } from './tools/define-tool.ts'

const graceMs = 10_000

/**
 * Creates a server. Nothing is opened, read or checked that depends on the machine until it starts.
 *
 * @throws {ConfigurationError} when an option is unknown, or cannot have its value
 */
export function createServer<
  const S extends SignIn | undefined = undefined,
  const P extends readonly Provider[] = readonly [],
  const Scope extends string = string,
  const I extends string | ExternalIssuer | undefined = undefined,
>(options: ServerOptions<S, P, Scope, I>): Server<SignedInBy<S, I>, P, Scope> {
  return createServerOf(options)
}

/** @param shared what another server is made of already. Default: nothing yet */
export function createServerOf<
  S extends SignIn | undefined,
  P extends readonly Provider[],
  Scope extends string = string,
  I extends string | ExternalIssuer | undefined = undefined,
>(
  options: ServerOptions<S, P, Scope, I>,
  shared?: Omit<ServerParts, 'options'>,
): Server<SignedInBy<S, I>, P, Scope> {
  checkServerOptions(options)
  const registry = shared?.registry ?? createRegistry()
  const setup = createServerSetup(options as ServerOptions)
  const changes =
    shared?.changes ?? new InMemoryServerEventBus(error => setup.report(error, 'a change could not be told'))
  const core: ServerCore = {
    options: options as ServerOptions,
    registry,
    changes,
    http: shared?.http ?? createHttpLayers(),
    mounts: shared?.mounts ?? [],
    identity: { info: serverInfo(options), instructions: options.instructions },
    lists: listSettings(options),
    setup,
    inFlight: createInFlight(),
  }
  const { http, inFlight } = core
  const assembly = createServerAssembly(core)
  const app = createMcpApp(assembly.served, setup.logger, http)
  const serve = async (request: Request, info: RequestEnvironment = {}) => app.fetch(request, info)
  const listening = createHttpServing(core, assembly, serve, () => server.close())
  const changed = (kind: Offer['kind']) => changes.publish({ kind: `${kind}s_list_changed` })
  const proxied = new Set<string | undefined>()
  let stdio: StdioHandle | undefined
  let closing: Promise<void> | undefined

  const findAdmin = async (): Promise<Admin> => {
    await assembly.served()
    if (assembly.assembled?.admin) return assembly.assembled.admin
    throw new ConfigurationError(
      'The server has no sign-in, so there is nobody to administer: give it signIn.',
    )
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
    mount: (prefix, other) => mountServer(core, prefix, partsOf(Object(other))),
    notify: {
      toolsChanged: () => changes.publish({ kind: 'tools_list_changed' }),
      promptsChanged: () => changes.publish({ kind: 'prompts_list_changed' }),
      resourcesChanged: () => changes.publish({ kind: 'resources_list_changed' }),
      resourceUpdated: uri => changes.publish({ kind: 'resource_updated', uri }),
    },
    app,
    admin: createLazyAdmin(findAdmin),
    get url() {
      if (assembly.assembled) return assembly.assembled.url
      const { port, publicUrl } = setup.configured()
      if (port === 0 && publicUrl === undefined)
        throw new ConfigurationError('PORT is 0: the URL is known after start().')
      return `${setup.publicUrlAt(port)}/mcp`
    },
    async start(start = {}) {
      try {
        checkStartOptions(start)
        if (closing) throw new ConfigurationError('The server was closed: create another one to start.')
        const transport = start.transport ?? setup.configured().transport
        if (transport === 'stdio') {
          // The client has gone. What listens for the browser would keep the process.
          process.stdin.once('close', () => void server.close())
          stdio = await serveOverStdio(core, assembly, serve)
        } else if (transport === 'mounted') {
          await assembly.served()
          setup.logger().info({ url: server.url }, 'ready')
        } else await listening.start(start)
      } catch (error) {
        const isOurs = error instanceof ConfigurationError || error instanceof StoreUnavailableError
        if (start.throwOnError || !isOurs) throw error
        // An uncaught error would bury the one sentence that helps under a stack trace.
        const { message, cause } = error
        const sentence =
          error instanceof ConfigurationError
            ? message
            : `The store does not answer${typeof cause === 'string' ? ` (${cause})` : ''}: check that it runs, and SESSION_REDIS_URL if it is a Redis.`
        process.stderr.write(`${sentence}\n`)
        process.exit(1)
      }
    },
    async fetch(request, info) {
      await assembly.served()
      return inFlight.track(serve(request, info))
    },
    serves: isOwnPath,
    close() {
      closing ??= (async () => {
        listening.stopAccepting()
        assembly.assembled?.served.mcp.stopAsking()
        stdio?.stopAsking?.()
        const deadline = Date.now() + graceMs
        await withinGrace(inFlight.idle())
        await stdio?.close()
        await assembly.assembled?.served.mcp.close()
        await listening.close(Math.max(0, deadline - Date.now()))
        await assembly.assembled?.close()
        await assembly.closeSources()
        setup.close()
      })()
      return closing
    },
  }
  rememberParts(server, core)
  return server
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
