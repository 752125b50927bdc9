import { type Admin, createAdmin } from './admin.ts'
import { createClientAssertions } from './clients/client-assertion.ts'
import { createMetadataDocuments } from './clients/client-id-metadata-document.ts'
import { createClientKeys } from './clients/client-keys.ts'
import { createClientResolver } from './clients/resolve-client.ts'
import { createResourceServers } from './clients/resource-servers.ts'
import type { Context } from './context.ts'
import { type ConnectLink, createConnectLink } from './endpoints/connect.ts'
import { endpointPaths } from './endpoints/paths.ts'
import { createEventEmitter } from './events/emitter.ts'
import { createSuspicionSink } from './events/suspicion.ts'
import { checkEnterpriseIssuers } from './grants/enterprise-issuers.ts'
import { createIdentityAssertions } from './grants/identity-assertion.ts'
import { grantTypes } from './grants/index.ts'
import { createIssuerKeys } from './grants/issuer-keys.ts'
import { createRequestHandler, type RequestHandler } from './handle-request.ts'
import { createSealer } from './keys/sealer.ts'
import { createSignerKeys } from './keys/signer-keys.ts'
import { createSigningKeys } from './keys/signing-keys.ts'
import { createLimits } from './limits/limits.ts'
import type { ConnectionPlanner } from './login.ts'
import { type AuthorizationServerOptions, checkOptions, defaultLifetimes } from './options.ts'
import { jwtBearerGrantType } from './protocol/grant-types.ts'
import { openidScope } from './protocol/scope.ts'
import type { Route } from './route.ts'
import { createRoutes } from './routes.ts'
import { systemClock, systemRandom } from './runtime.ts'
import type { AccessTokenVerifier } from './tokens/access-token.ts'
import { createDpopNonces } from './tokens/dpop-nonces.ts'
import { createDpopProofs, type DpopProofs } from './tokens/dpop-proofs.ts'
import { createIdTokenIssuer } from './tokens/id-token.ts'
import { createTokenIssuer } from './tokens/issue.ts'
import { createOpaqueAccessTokens } from './tokens/opaque-access-token.ts'
import { createAccessTokenVerifier } from './tokens/verify-access-token.ts'

/** An OAuth 2.1 authorization server, and the verifier of the access tokens it issues. */
export interface AuthorizationServer {
  /** The issuer identifier, byte for byte as configured. */
  readonly issuer: string
  /** What it answers, for a host that mounts paths one by one. */
  readonly routes: readonly Pick<Route, 'method' | 'path' | 'cors'>[]
  /** Answers a request, or resolves to undefined when its path is none of ours. Never rejects. */
  handle: RequestHandler
  /**
   * Verifies a bearer value for one resource.
   *
   * @throws {OAuthError} `invalid_token` (RFC 6750 §3.1)
   * @throws {StoreUnavailableError} when revocations have not been heard of for too long
   */
  verifyAccessToken: AccessTokenVerifier['verifyAccessToken']
  /** Verifies what is sent with the scheme DPoP instead of Bearer. Undefined where that is off. */
  readonly dpop: Pick<DpopProofs, 'algorithms' | 'verifyAccessToken'> | undefined
  /**
   * A link that lets this user, signed in, connect an account at an upstream provider. It works once.
   *
   * @param link.scopes provider scopes to ask for
   * @param link.account which of the user's accounts to connect again, or `anotherAccount` for one more. Default: the
   *   one that is meant where nobody says which
   */
  createConnectLink(link: ConnectLink): Promise<string>
  /** What an operator can see and end. */
  readonly admin: Admin
  /**
   * Makes ready what the first request would wait for: the store answers, the signing key exists and signs. From
   * then on, every `cleanupIntervalSeconds`, records whose end has passed are deleted and signing keys rotated when it
   * is time.
   *
   * @throws {StoreUnavailableError}
   * @throws {ConfigurationError} when the signing keys cannot be opened or a signer does not fit its key
   * @throws {OAuthError} `temporarily_unavailable` when a signer gives no signature
   */
  start(): Promise<void>
  /** Stops what `start` began. The store belongs to whoever made it and stays open. */
  close(): Promise<void>
}

/** What `openid` grants, on the consent page. */
const openidWords = 'Recognise you by an id of this server, without your name or e-mail address'

const noConnections: ConnectionPlanner = { plan: () => ({ needs: [] }), isConnected: async () => false }

/**
 * Creates an authorization server: options in, routes and verifier out. The composition root of the package; every
 * part is made here and handed over by name.
 *
 * @throws {ConfigurationError} when the options cannot work
 */
export function createAuthorizationServer(options: AuthorizationServerOptions): AuthorizationServer {
  checkOptions(options)
  const { issuer, store, secrets, resources, defaultScopes, openid = true, connectionsOnly = false } = options
  const scopes = { ...options.scopes, ...(openid && { [openidScope]: openidWords }) }
  const { clock = systemClock, random = systemRandom, onEvent, signers } = options
  const signingAlgorithm = signers?.[0]?.alg ?? options.signingAlgorithm ?? 'ES256'
  const suspicion = createSuspicionSink(event => emit(event))
  const emit = createEventEmitter([...(onEvent ? [onEvent] : []), suspicion], { clock })
  const lifetimes = { ...defaultLifetimes, ...options.lifetimes }
  const dynamicRegistration = options.dynamicRegistration ?? true
  const clientIdMetadataDocuments = options.clientIdMetadataDocuments ?? true
  const redirectUriSchemes = options.redirectUriSchemes ?? []
  const { cleanupIntervalSeconds = 600 } = options

  const sealer = createSealer(secrets, random)
  const signingKeys = signers
    ? createSignerKeys({ signers, emit })
    : createSigningKeys({
        store,
        sealer,
        algorithm: signingAlgorithm,
        clock,
        ...(options.signingKeyRotation && { rotation: options.signingKeyRotation }),
        emit,
      })
  const opaqueTokens = createOpaqueAccessTokens({ issuer, tenant: store.tenant, secrets, random })
  const opaque = options.accessTokenFormat === 'opaque' ? opaqueTokens : undefined
  const tokens = createTokenIssuer({ issuer, signingKeys, clock, random, opaque })
  const verifier = createAccessTokenVerifier({ issuer, signingKeys, store, clock, opaqueTokens })
  const clients = createClientResolver({
    configured: options.clients ?? [],
    secrets,
    store,
    clock,
    // R8: off means off: no document is ever fetched.
    documents: clientIdMetadataDocuments
      ? createMetadataDocuments({
          clock,
          schemes: redirectUriSchemes,
          allowLoopback: options.metadataDocumentsOnLoopback ?? false,
          identityAssertions: (options.enterpriseIssuers ?? []).length > 0,
        })
      : undefined,
    dynamicRegistration,
    schemes: redirectUriSchemes,
  })

  const allowLoopback = options.metadataDocumentsOnLoopback ?? false
  const assertions = createClientAssertions({
    issuer,
    tokenEndpoint: issuer + endpointPaths.token,
    store,
    keys: createClientKeys({ clock, allowLoopback }),
    clock,
    random,
  })
  const { enterpriseIssuers = [] } = options
  const trusted = checkEnterpriseIssuers(enterpriseIssuers, {
    issuer,
    scopes: Object.keys(scopes),
    clients: options.clients ?? [],
  })
  // R10: off means off.
  const identityAssertions =
    trusted.size > 0
      ? createIdentityAssertions({
          issuer,
          trusted,
          store,
          keys: createIssuerKeys({ clock, allowLoopback }),
          clock,
          random,
        })
      : undefined
  // R5, R113: no client can have it unless the deployer gave it to one.
  const hasMachines = options.clients?.some(client => client.grantTypes?.includes('client_credentials'))

  const isOffered: Readonly<Record<string, boolean | undefined>> = {
    client_credentials: hasMachines ?? false,
    [jwtBearerGrantType]: identityAssertions !== undefined,
  }
  const { dpop: isDpop = true, dpopNonces = false } = options
  const dpop = isDpop
    ? createDpopProofs({
        verifier,
        nonces: dpopNonces ? createDpopNonces({ issuer, secrets, clock }) : undefined,
        store,
        clock,
        random,
        emit,
      })
    : undefined

  const context: Context = {
    issuer,
    serverName: options.serverName,
    resources,
    scopes,
    defaultScopes,
    sensitiveScopes: options.sensitiveScopes ?? [],
    lifetimes,
    scopeLifetimes: options.scopeLifetimes ?? {},
    maxPendingAuthorizations: options.maxPendingAuthorizations ?? 10_000,
    grantTypes: grantTypes.filter(name => isOffered[name] ?? true),
    openid,
    connectionsOnly,
    dynamicRegistration,
    clientIdMetadataDocuments,
    redirectUriSchemes,
    store,
    secrets,
    sealer,
    clients,
    assertions,
    identityAssertions,
    resourceServers: options.resourceServers?.length
      ? createResourceServers(options.resourceServers, resources)
      : undefined,
    signingKeys,
    tokens,
    opaqueTokens,
    idTokens: createIdTokenIssuer({ issuer, signingKeys, clock }),
    accessTokens: verifier,
    dpop,
    signIn: options.signIn,
    connections: options.connections ?? noConnections,
    securityEvents: options.securityEvents ?? new Map(),
    revokesUpstream: options.revokesUpstream ?? false,
    emit,
    limits: createLimits({ factor: options.rateLimit ?? 1, store, secrets, emit }),
    clock,
    random,
  }
  const routes = createRoutes(context, signingAlgorithm)

  let cleanup: ReturnType<typeof setInterval> | undefined

  return {
    issuer,
    routes,
    handle: createRequestHandler(context, routes),
    verifyAccessToken: (value, resource, jkt) => verifier.verifyAccessToken(value, resource, jkt),
    dpop,
    createConnectLink: async link => createConnectLink(context, link),
    admin: createAdmin(context),
    async start() {
      await store.check()
      if (!connectionsOnly) await signingKeys.active()
      if (cleanup) return
      cleanup = setInterval(() => {
        const failed = (step: string) => () => emit({ type: 'store_unavailable', step })
        store.cleanupExpired({ now: clock() }).catch(failed('cleanupExpired'))
        // A server nobody calls rotates too.
        if (!connectionsOnly) signingKeys.rotateIfDue().catch(failed('rotateIfDue'))
      }, cleanupIntervalSeconds * 1_000)
      // Tidying up is no reason for the process to stay.
      cleanup.unref()
    },
    async close() {
      clearInterval(cleanup)
      cleanup = undefined
      verifier.close()
      await signingKeys.close()
    },
  }
}
