import {
  type AuthorizationServer,
  type AuthorizationServerOptions,
  type Clock,
  ConfigurationError,
  type ConfiguredClient,
  type ConfiguredResourceServer,
  createAuthorizationServer,
  createSealer,
  type EnterpriseIssuer,
  type EventSink,
  type RandomBytes,
  type SecretRing,
  type Signer,
  type SigningKeyRotation,
  type Store,
  type TokenLifetimes,
} from '@sallyport/oauth'
import type { Config } from './config.ts'
import type { Environment } from './environment.ts'
import { checkIssuerOffer, type ExternalIssuer } from './external-issuer.ts'
import { nearestWord } from './known-keys.ts'
import { isLoopback } from './loopback.ts'
import { type Offer, offerName } from './offers.ts'
import type { Provider, SignIn } from './provider.ts'
import type { HasScopes } from './scope-hierarchy.ts'
import { createConnectionPlanner, minimumScopes, scopeWords } from './scopes.ts'
import { authKeywords } from './tools/access-rule.ts'
import type { NamedProvider } from './tools/call-context.ts'

/** Whether a way to sign in is a provider, and not a page of the application. */
export const isProvider = (signIn: SignIn | undefined): signIn is Provider =>
  signIn !== undefined && 'connect' in signIn

/** What a developer configures about sign-in; passed on to the authorization server as it stands. */
export interface SignInOptions<Scope extends string = string> {
  /** OpenID Connect for clients: `openid`, id_tokens, userinfo, sign-out. Default true. */
  openid?: boolean
  /**
   * Proof of possession (DPoP): a client that proves to hold a key gets tokens that are worth nothing without it.
   * Default true; clients that prove nothing get bearer tokens.
   */
  dpop?: boolean
  /** Every proof must carry a nonce of this server, good for five minutes. Default false. */
  dpopNonces?: boolean
  /**
   * What has no caller is done in this process: refreshing connections before a tool has to wait, telling that one will
   * end, revoking tokens at providers. Default true. Off is for a process that ends with each request; another one on
   * the same store should then have it on.
   */
  backgroundWork?: boolean
  /**
   * When a user disconnects an account, its tokens are revoked at the provider too. At Google that takes back what the
   * user granted to the whole Google project. Default true.
   */
  revokesUpstream?: boolean
  /** Pre-registered clients. Default: none. */
  clients?: readonly ConfiguredClient[]
  /**
   * Identity providers whose users get tokens by assertion (ID-JAG): enterprise-managed authorization. Default: none,
   * and no such grant.
   */
  enterpriseIssuers?: readonly EnterpriseIssuer[]
  /** Resource servers that may introspect tokens (RFC 7662). Default: none, and no introspection endpoint. */
  resourceServers?: readonly ConfiguredResourceServer[]
  /**
   * Scopes → what they allow, in words for the consent page. Once given, the compiler knows which scopes there are.
   * Default: whatever `auth` names, by its own name.
   */
  scopes?: Readonly<Record<Scope, string>>
  /** Scopes → scopes they include, such as `{ 'notes:write': ['notes:read'] }`. Default: none includes another. */
  scopeHierarchy?: { readonly [Each in NoInfer<Scope>]?: readonly NoInfer<Scope>[] }
  /** Scopes that only pre-registered clients may ask for, such as those of administration. Default: none. */
  sensitiveScopes?: readonly string[]
  /**
   * Scopes → lifetimes of tokens and sessions that carry them, in seconds. Of these, the client's own and the server's
   * the shortest wins. Default: none.
   */
  scopeLifetimes?: Readonly<Record<string, Partial<TokenLifetimes>>>
  /** How often what has ended is deleted and what is due is done, in seconds. Default 600. */
  cleanupIntervalSeconds?: number
  /**
   * Whether users connect all providers that tools need when they sign in, on the same trip. Otherwise each is asked for
   * by the first call that needs it. Default true.
   */
  connectAtSignIn?: boolean
  /** Dynamic client registration (RFC 7591). Default true. */
  dynamicRegistration?: boolean
  /** Client ID metadata documents. Default true. */
  clientIdMetadataDocuments?: boolean
  /** Private-use URI schemes without a dot that redirect URIs may use, added to the built-in list. */
  redirectUriSchemes?: readonly string[]
  /** When signing keys come and go. Default: a new one every 90 days, published a day before it signs. */
  signingKeyRotation?: Partial<SigningKeyRotation>
  /** Signers (HSM, KMS), newest first, in place of signing keys in the store. Default: none. */
  signers?: readonly Signer[]
}

/** Everything sign-in is made of. */
export interface SignInParts {
  server: AuthorizationServer
  providers: ReadonlyMap<string, NamedProvider>
}

/**
 * Checks that every `auth` can be satisfied.
 *
 * @param issuer who issues the tokens; undefined: this server
 * @param scopes what the developer says that scopes allow
 * @throws {ConfigurationError} when an offer needs sign-in or a provider and the server has none, its scope is one of
 *   `scopes` misspelt, or users were to sign in with a provider that only connects
 */
export function checkOffers(
  offers: readonly Offer[],
  signIn: SignIn | undefined,
  providers: readonly Provider[],
  issuer?: string | ExternalIssuer,
  scopes?: Readonly<Record<string, string>>,
): void {
  if (isProvider(signIn) && signIn.connectOnly) {
    throw new ConfigurationError(
      `${signIn.label} connects accounts and signs nobody in: put it into the option providers, and give signIn a provider that does, such as google().`,
    )
  }
  const ids = new Set<string>()
  for (const { id } of [...(isProvider(signIn) ? [signIn] : []), ...providers]) {
    if (ids.has(id))
      throw new ConfigurationError(`There are two providers named "${id}": give one another id.`)
    if (authKeywords.includes(id) || !/^[a-z0-9-]+$/.test(id)) {
      throw new ConfigurationError(
        `A provider cannot be named "${id}": use lower-case letters, digits and hyphens, and not ${authKeywords.join(' or ')}.`,
      )
    }
    ids.add(id)
  }
  const described = Object.keys(scopes ?? {})
  for (const offer of offers) {
    const { rule } = offer
    if (!rule) continue
    for (const scope of rule.scopes) {
      const meant = described.includes(scope) ? undefined : nearestWord(scope, described)
      if (meant === undefined) continue
      throw new ConfigurationError(
        `${offerName(offer)} asks for scope "${scope}", and the option scopes has "${meant}": correct the one that is misspelt, or add the other to scopes.`,
      )
    }
    if (!signIn && issuer !== undefined) checkIssuerOffer(offer, rule)
    else if (!signIn) {
      throw new ConfigurationError(
        `${offerName(offer)} requires auth, but the server has no sign-in: give createServer the option signIn, or issuer.`,
      )
    }
    for (const id of rule.providers.keys()) {
      if (!ids.has(id)) {
        const word = nearestWord(id, [...authKeywords, ...ids])
        throw new ConfigurationError(
          `${offerName(offer)} needs provider "${id}", which the server does not have: ${
            word === undefined ? 'add it to the option providers' : `write "${word}", if that is meant`
          }.`,
        )
      }
    }
  }
}

/**
 * The development sign-in asks for no password, so it must not be reachable by anybody else.
 *
 * @throws {ConfigurationError} when it could be
 */
export function checkDevelopmentSignIn(
  signIn: SignIn | undefined,
  config: Pick<Config, 'production' | 'host'>,
  publicUrl: string,
): void {
  if (!isDevelopmentSignIn(signIn)) return
  if (config.production || !isLoopback(new URL(publicUrl).hostname) || !isLoopback(config.host ?? '')) {
    throw new ConfigurationError(
      'The development sign-in asks for no password and works on localhost only: give createServer a real signIn, such as google().',
    )
  }
}

/** Whether this is the sign-in without a password. */
export const isDevelopmentSignIn = (signIn: SignIn | undefined): boolean =>
  !isProvider(signIn) && signIn?.id === 'development'

/** The hierarchy without the keys that are undefined. */
export const definedOf = (
  hierarchy: SignInOptions['scopeHierarchy'] = {},
): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(
    Object.entries(hierarchy).flatMap(([scope, included]) => (included ? [[scope, included]] : [])),
  )

/**
 * Connects the providers and creates the authorization server. Undefined when the provider users would sign in
 * with has no credentials and nothing needs it.
 *
 * @throws {ConfigurationError} when a provider that a tool needs has no credentials, or an option cannot work
 */
export function createSignIn(options: {
  serverName: string
  publicUrl: string
  resource: string
  config: Config
  environment: Environment
  ring: SecretRing
  store: Store
  signIn: SignIn
  providers: readonly Provider[]
  offers: readonly Offer[]
  hasScopes: HasScopes
  settings: SignInOptions
  /** Tokens come from another issuer; users sign in here to connect providers. */
  connectionsOnly: boolean
  emit: EventSink
  clock: Clock
  random: RandomBytes
  warn: (message: string) => void
}): SignInParts | undefined {
  const { config, ring, store, signIn, offers, settings, connectionsOnly, emit, clock, random } = options
  const revokesUpstream = settings.revokesUpstream ?? true
  const host = {
    store,
    tenant: store.tenant,
    sealer: createSealer(ring, random),
    keyedHash: (text: string) => ring.mac('account-id', text).toString('base64url'),
    clock,
    random,
    environment: options.environment,
    externalTokenSeconds: config.externalTokenSeconds,
    emit,
    revokesUpstream,
  }
  const needed = new Set(offers.flatMap(offer => [...(offer.rule?.providers.keys() ?? [])]))
  const providers = new Map<string, NamedProvider>()
  const connect = (provider: Provider): NamedProvider => {
    const named = { label: provider.label, connected: provider.connect(host) }
    providers.set(provider.id, named)
    return named
  }
  for (const provider of options.providers) if (needed.has(provider.id)) connect(provider)

  let login: AuthorizationServerOptions['signIn']
  try {
    login = isProvider(signIn) ? connect(signIn).connected.login : signIn
  } catch (error) {
    // Nobody has to sign in for what is all public: better a server without sign-in than none.
    const isNeeded = connectionsOnly || offers.some(offer => offer.rule)
    if (!(error instanceof ConfigurationError) || isNeeded) throw error
    options.warn(`${error.message} Nothing needs sign-in, so the server runs without it.`)
    return undefined
  }

  const timed = offers.find(offer => offer.rule?.maxAgeSeconds !== undefined)
  if (timed && !connectionsOnly && !login.prompts?.includes('login')) {
    throw new ConfigurationError(
      `${offerName(timed)} has maxAgeSeconds, but ${login.label} does not tell when its users authenticated: ` +
        'remove it, or sign users in with a provider that does, such as oidc().',
    )
  }

  const receivers = [...providers].flatMap(([id, { connected }]) =>
    connected.securityEvents ? [[id, connected.securityEvents] as const] : [],
  )
  const server = createAuthorizationServer({
    issuer: options.publicUrl,
    serverName: options.serverName,
    resources: [options.resource],
    scopes: scopeWords(offers, settings.scopes ?? {}, definedOf(settings.scopeHierarchy)),
    defaultScopes: minimumScopes(offers),
    store,
    secrets: ring,
    signIn: login,
    connections: createConnectionPlanner(
      offers,
      providers,
      isProvider(signIn) ? signIn.id : undefined,
      options.hasScopes,
      settings.connectAtSignIn,
    ),
    securityEvents: new Map(receivers),
    revokesUpstream,
    connectionsOnly,
    ...(settings.sensitiveScopes && { sensitiveScopes: settings.sensitiveScopes }),
    ...(settings.openid !== undefined && { openid: settings.openid }),
    ...(settings.dpop !== undefined && { dpop: settings.dpop }),
    ...(settings.dpopNonces !== undefined && { dpopNonces: settings.dpopNonces }),
    ...(settings.clients && { clients: settings.clients }),
    ...(settings.scopeLifetimes && { scopeLifetimes: settings.scopeLifetimes }),
    ...(settings.cleanupIntervalSeconds !== undefined && {
      cleanupIntervalSeconds: settings.cleanupIntervalSeconds,
    }),
    ...(settings.enterpriseIssuers && { enterpriseIssuers: settings.enterpriseIssuers }),
    ...(settings.resourceServers && { resourceServers: settings.resourceServers }),
    ...(settings.dynamicRegistration !== undefined && { dynamicRegistration: settings.dynamicRegistration }),
    ...(settings.clientIdMetadataDocuments !== undefined && {
      clientIdMetadataDocuments: settings.clientIdMetadataDocuments,
    }),
    ...(settings.redirectUriSchemes && { redirectUriSchemes: settings.redirectUriSchemes }),
    ...(settings.signingKeyRotation && { signingKeyRotation: settings.signingKeyRotation }),
    ...(settings.signers && { signers: settings.signers }),
    metadataDocumentsOnLoopback: config.metadataDocumentsOnLoopback,
    lifetimes: config.lifetimes,
    accessTokenFormat: config.accessTokenFormat,
    signingAlgorithm: config.signingAlgorithm,
    rateLimit: config.rateLimit,
    onEvent: emit,
    clock,
    random,
  })
  return { server, providers }
}
