import { performance } from 'node:perf_hooks'
import type { ServerEventBus } from '@modelcontextprotocol/server'
import {
  type AccessTokenVerifier,
  type Admin,
  type Clock,
  createMemoryStore,
  createSealer,
  createSecretRing,
  type EventSink,
  type RandomBytes,
  type Store,
} from '@sallyport/oauth'
import { createBackgroundTimer } from '../background-timer.ts'
import { type BearerGate, createBearerGate, openGate } from '../bearer-gate.ts'
import { type GuardedChanges, guardChanges } from '../calls/changes.ts'
import { createLists, type ListSettings } from '../calls/lists.ts'
import type { CallServices } from '../calls/perform.ts'
import { shareChanges } from '../calls/shared-changes.ts'
import { createClientAddress } from '../client-address.ts'
import type { Config } from '../config.ts'
import type { Served } from '../create-mcp-app.ts'
import { type ConnectionAsking, createConnectionAsking } from '../elicit/connection-asking.ts'
import { defaultTiming, type ExchangeTiming } from '../elicit/exchange.ts'
import { createOpenRound } from '../elicit/open-round.ts'
import { createRequestStates } from '../elicit/request-state.ts'
import type { Environment } from '../environment.ts'
import {
  createTrustedIssuer,
  type ExternalIssuer,
  type TrustedIssuer,
  withoutBaseScope,
} from '../external-issuer.ts'
import { createHostCheck } from '../host-check.ts'
import type { InBandChallenges } from '../in-band-challenge.ts'
import { securitySchemes } from '../in-band-challenge.ts'
import type { InFlight } from '../in-flight.ts'
import { checkIssuerOptions } from '../issuer-options.ts'
import { loadSecrets } from '../load-secrets.ts'
import type { Log } from '../log.ts'
import { createMcpEndpoint } from '../mount-mcp.ts'
import { isOpen } from '../offers.ts'
import { openStore } from '../open-store.ts'
import { metadataPath } from '../protected-resource-metadata.ts'
import type { Provider, SignIn } from '../provider.ts'
import type { Registry } from '../registry.ts'
import { createHasScopes } from '../scope-hierarchy.ts'
import { minimumScopes, offeredScopes } from '../scopes.ts'
import { createSessions, type SessionOptions } from '../sessions/sessions.ts'
import {
  checkDevelopmentSignIn,
  createSignIn,
  definedOf,
  type SignInOptions,
  type SignInParts,
} from '../sign-in.ts'
import { type TaskOptions, taskOptions } from '../tasks/task-options.ts'
import { createTaskRecords, maxSealedLength } from '../tasks/task-records.ts'
import { createTasks, type Tasks } from '../tasks/tasks.ts'
import { createSdkServer, type SdkServerParts } from '../tools/sdk-server.ts'
import type { ServerIdentity } from '../tools/server-identity.ts'

/** A server whose parts are made and joined. */
export interface Assembled {
  served: Served
  /** The MCP endpoint as clients know it. */
  url: string
  /** What calls share, whichever way they come. */
  services: CallServices
  /** Calls that go on after they were answered. */
  tasks: Tasks
  /** How calls ask a client whose connection stays. */
  asking: ConnectionAsking
  /** Changes as they reach those who may hear of them. */
  changes: GuardedChanges
  /** Who vouches for callers; undefined where nobody does. */
  vouching:
    | (Pick<AccessTokenVerifier, 'verifyAccessToken'> & {
        issuer: string
        isOwnIssuer: boolean
        /** What a client asks for that needs nothing in particular. */
        scopes: readonly string[]
      })
    | undefined
  /** Undefined on a server without sign-in. */
  admin: Admin | undefined
  /** Makes ready what the first request would wait for. */
  start(): Promise<void>
  /** Ends subscriptions, the authorization server, and the store if it was made here. */
  close(): Promise<void>
}

/** What a server is made of. */
export interface Ingredients {
  identity: ServerIdentity
  config: Config
  environment: Environment
  registry: Registry
  lists: ListSettings
  /** What `server.notify` tells. */
  changes: ServerEventBus
  leanCalls: boolean
  exposeErrors: boolean
  /** Who issues the tokens. Undefined: this server. */
  issuer: string | ExternalIssuer | undefined
  signIn: SignIn | undefined
  providers: readonly Provider[]
  settings: SignInOptions
  /** Default: what the configuration names. */
  store: Store | undefined
  allowedHosts: readonly string[]
  allowedOrigins: readonly string[]
  /** Default: as soon as something is protected and nothing is open to everybody. */
  challengeOnConnect: boolean | undefined
  inBandChallenges: InBandChallenges
  maxBodyBytes: number
  sessions: SessionOptions
  timing: Partial<ExchangeTiming>
  tasks: TaskOptions
  log: Log
  emit: EventSink
  clock: Clock
  random: RandomBytes
  inFlight: InFlight
}

/**
 * Composition root: every part is made here and handed over by name. Issuer and resource derive from the public
 * URL and from nothing else (R2, R3).
 *
 * @param port where the server listens
 * @throws {ConfigurationError} when something is missing or cannot work
 * @throws {StoreUnavailableError} when the store does not answer
 */
export async function assemble(
  ingredients: Ingredients,
  publicUrl: string,
  port: number,
): Promise<Assembled> {
  const { identity, config, registry, issuer, signIn, log, emit, inFlight } = ingredients
  const hasScopes = createHasScopes(definedOf(ingredients.settings.scopeHierarchy))
  const resource = `${publicUrl}/mcp`
  if (issuer !== undefined) {
    checkIssuerOptions(issuer, { settings: ingredients.settings, signIn, publicUrl })
  }
  checkDevelopmentSignIn(signIn, config, publicUrl)

  // Secrets first: a server that may not start leaves no store behind.
  const secrets =
    signIn &&
    loadSecrets(config, path =>
      log.warn({ path }, 'made a development secret; set SALLYPORT_SECRET in production'),
    )
  const store = signIn && (ingredients.store ?? (await openStore(config, emit, message => log.warn(message))))
  const closeOwnStore = async () => {
    if (!ingredients.store) await store?.close()
  }
  let parts: SignInParts | undefined
  let trusted: TrustedIssuer | undefined
  try {
    trusted =
      issuer === undefined
        ? undefined
        : createTrustedIssuer(issuer, { users: store, clock: ingredients.clock, log })
    parts =
      signIn &&
      store &&
      secrets &&
      createSignIn({
        serverName: identity.info.title ?? identity.info.name,
        publicUrl,
        resource,
        config,
        environment: ingredients.environment,
        secrets,
        store,
        signIn,
        providers: ingredients.providers,
        offers: registry.offers(),
        hasScopes,
        settings: ingredients.settings,
        connectionsOnly: trusted !== undefined,
        emit,
        clock: ingredients.clock,
        random: ingredients.random,
        warn: message => log.warn(message),
      })
  } catch (error) {
    void closeOwnStore()
    throw error
  }

  const verifier = trusted ?? parts?.server
  const guarded = verifier
    ? createBearerGate({
        verifier,
        resource,
        metadataUrl: publicUrl + metadataPath,
        hasScopes,
        emit,
        clock: ingredients.clock,
      })
    : undefined
  const gate: BearerGate = guarded ? (trusted ? withoutBaseScope(guarded) : guarded) : openGate
  const services: CallServices = {
    providers: parts?.providers ?? new Map(),
    connectLink: async link => {
      if (!parts) throw new Error('a server without sign-in has nobody to connect')
      return parts.server.createConnectLink(link)
    },
    hasScopes,
    exposeErrors: ingredients.exposeErrors,
    emit,
    log,
    now: () => performance.now(),
    track: inFlight.track,
  }
  const background =
    parts && (ingredients.settings.backgroundWork ?? true)
      ? createBackgroundTimer({
          workers: [...parts.providers.values()].map(({ connected }) => connected),
          random: ingredients.random,
          emit,
          onError: error => log.error({ err: error }, 'background work failed'),
        })
      : undefined
  // A server without sign-in has no secrets unless they are set; what its callers bring back is then good in this
  // process only.
  const ring = createSecretRing(secrets ?? config.secrets ?? [randomSecret(ingredients.random)])
  const { clock, random } = ingredients
  const kept = store ?? ingredients.store ?? createMemoryStore({ tenant: config.sandbox })
  const stop = new AbortController()
  const stopping = stop.signal
  const timing = { ...defaultTiming, ...ingredients.timing }
  const onError = (error: Error) => log.debug({ err: error }, 'mcp')
  const sessionSealer = createSealer(ring, random, 'mcp-session')
  const shared = shareChanges(ingredients.changes, {
    store: kept,
    sealer: sessionSealer,
    tenant: kept.tenant,
    clock,
    random,
    onError: error => log.error({ err: error }, 'a change could not be told'),
  })
  const tasks = createTasks({
    ...taskOptions(ingredients.tasks),
    records: createTaskRecords({
      store: kept,
      sealer: createSealer(ring, random, 'call-task', maxSealedLength),
      tenant: kept.tenant,
      clock,
      random,
      onChange: key => shared.tellTask(key),
    }),
    registry,
    services,
    signIns: kept,
    changes: shared,
    timing,
    stopping,
    clock,
  })
  const sdkParts: SdkServerParts = {
    identity,
    tasks,
    registry,
    services,
    lists: createLists(registry, services, {
      ...ingredients.lists,
      ...(verifier &&
        ingredients.inBandChallenges !== false && {
          securitySchemes: tool => securitySchemes(tool, trusted === undefined),
        }),
    }),
  }
  const changes = guardChanges(shared, {
    registry,
    hasScopes,
    services,
    clock,
    onError: error => log.error({ err: error }, 'a change could not be told'),
  })
  const sessions = createSessions({
    ...ingredients.sessions,
    changes: shared,
    createServer: (exchangeOf, subscriptions, hearer) =>
      createSdkServer(sdkParts, {
        caller: undefined,
        era: 'legacy',
        hearsChanges: true,
        changes: changes.heardBy(hearer),
        subscriptions,
        exchangeOf,
      }),
    store: kept,
    hasSignIn: guarded !== undefined,
    tenant: kept.tenant,
    sealer: sessionSealer,
    timing,
    stopping,
    clock,
    random,
    emit,
    onError,
  })
  const openRound = createOpenRound({
    states: createRequestStates({
      sealer: createSealer(ring, random, 'request-state'),
      tenant: kept.tenant,
      store: kept,
      clock,
      random,
    }),
    timing,
    stopping,
    clock,
    emit,
  })
  const offers = registry.offers()
  // A foreign issuer has its own minimum; what is offered is all there is to say.
  const scopes = trusted ? offeredScopes(offers) : minimumScopes(offers)
  const protectsEverything = offers.length > 0 && !offers.some(isOpen)
  const mcp = createMcpEndpoint({
    parts: sdkParts,
    changes,
    gate,
    sessions,
    openRound,
    stopAsking: () => stop.abort(),
    clock,
    leanCalls: ingredients.leanCalls,
    challengeOnConnect: verifier !== undefined && (ingredients.challengeOnConnect ?? protectsEverything),
    inBandChallenges: ingredients.inBandChallenges,
    maxBodyBytes: ingredients.maxBodyBytes,
    onError,
  })
  const unwatch = kept.watchRevocations({
    onRevoked({ grantId }) {
      changes.endGrant(grantId)
      mcp.endGrant(grantId)
      tasks.endGrant(grantId)
    },
    onSynced: () => {},
  })
  return {
    url: resource,
    services,
    tasks,
    asking: createConnectionAsking({ openRound, timing, stopping }),
    changes,
    vouching: verifier && {
      verifyAccessToken: (value, resource) => verifier.verifyAccessToken(value, resource),
      issuer: verifier.issuer,
      isOwnIssuer: trusted === undefined,
      scopes,
    },
    admin: parts?.server.admin,
    served: {
      hostCheck: createHostCheck({
        publicUrl,
        port,
        allowedHosts: ingredients.allowedHosts,
        allowedOrigins: ingredients.allowedOrigins,
      }),
      mcp,
      ...(verifier && {
        oauth: {
          handle: parts?.server.handle ?? (async () => undefined),
          metadata: {
            resource,
            authorization_servers: [verifier.issuer],
            ...(scopes.length > 0 && { scopes_supported: scopes }),
            bearer_methods_supported: ['header'],
            resource_name: identity.info.title ?? identity.info.name,
            ...(verifier.dpop && { dpop_signing_alg_values_supported: verifier.dpop.algorithms }),
          },
        },
      }),
      checkHealth: async () => store?.check(),
      clientAddress: createClientAddress({
        trustedProxies: config.trustedProxies,
        publicUrl,
        warn: message => log.warn(message),
      }),
      https: publicUrl.startsWith('https:'),
      maxBodyBytes: ingredients.maxBodyBytes,
    },
    async start() {
      await trusted?.start()
      await parts?.server.start()
      background?.start()
    },
    async close() {
      await mcp.close()
      await tasks.close()
      unwatch()
      await shared.close()
      await background?.stop()
      trusted?.close()
      await parts?.server.close()
      await closeOwnStore()
    },
  }
}

const randomSecret = (random: RandomBytes): string => Buffer.from(random(32)).toString('base64url')
