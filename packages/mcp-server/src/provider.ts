import {
  anotherAccount,
  type CircuitStore,
  type Clock,
  type ConnectionState,
  type ConnectionStatus,
  type ConnectionStore,
  type EventSink,
  type LeaseStore,
  type PageLogin,
  type RandomBytes,
  type RedirectLogin,
  type Sealer,
  type SecurityEventReceiver,
  type TaskStore,
} from '@sallyport/oauth'

/**
 * Port through which upstream providers (Google, LinkedIn, …) join a server. Types only: the framework does not
 * know how a provider works, a provider does not know what a tool is.
 */
export interface Provider<Id extends string = string> {
  /** Name tools use, such as `google`; also the last segment of its callback path. */
  readonly id: Id
  /** Name users know it by, such as `Google`. */
  readonly label: string
  /** It makes connections and signs nobody in, so that it goes into `providers` and never into `signIn`. */
  readonly connectOnly?: boolean
  /**
   * Called once at start, and only when the server needs the provider. Reads its credentials.
   *
   * @throws {ConfigurationError} in one sentence that names the missing variables
   */
  connect(host: ProviderHost): ConnectedProvider
}

/** What the server hands to a provider. */
export interface ProviderHost {
  store: ConnectionStore & LeaseStore & CircuitStore & TaskStore
  /** Tenant of the store, part of the context of sealed values. */
  tenant: string
  sealer: Sealer
  /**
   * A hash in base64url under the server's newest secret: the same for the same text, and without the secret nobody can
   * find out what a text was by trying those they know.
   */
  keyedHash(text: string): string
  clock: Clock
  random: RandomBytes
  environment: Readonly<Record<string, string | undefined>>
  /** Life of an external token whose provider names none, in seconds (`OAUTH_EXTERNAL_TOKEN_TTL`). */
  externalTokenSeconds: number
  emit: EventSink
  /** Whether tokens of a connection that ends here are revoked at the provider. Default true. */
  revokesUpstream?: boolean
  /** Waits, in milliseconds, for what another process does. Default: real time. */
  sleep?: (ms: number) => Promise<void>
}

/**
 * A provider ready for use. `account` is the id of one of the user's accounts there; default: the one the user chose,
 * else the one connected first.
 */
export interface ConnectedProvider {
  /** Signs users in and makes connections; both are the same redirect. */
  readonly login: RedirectLogin
  /**
   * Whether the user has a working connection with these provider scopes. For `anotherAccount`: whether the one made
   * last is.
   */
  isConnected(userId: string, scopes: readonly string[], account?: string): Promise<boolean>
  /** How the user's connection does, for a tool that needs these scopes. Asks nobody but the store. */
  status(userId: string, scopes: readonly string[], account?: string): Promise<ConnectionStatus>
  /** The accounts the user has connected, the default first. Asks nobody but the store. */
  accounts(userId: string): Promise<readonly ConnectedAccount[]>
  /**
   * Refreshes a connection without a caller, when its token would not be fresh any more in `aheadSeconds`. Where the
   * provider is left alone, or another process is at it, nothing happens.
   *
   * @returns how the connection does then; undefined when there is none
   * @throws {StoreUnavailableError} when the store does not answer
   */
  keepFresh(userId: string, aheadSeconds: number, account?: string): Promise<ConnectionStatus | undefined>
  /**
   * The user's external access token, refreshed when it was stale.
   *
   * @param rejected a token that the API refused: another one than this, at the price of a refresh
   * @throws {ConnectionRequiredError} when the user must connect, or grant a missing scope
   * @throws {ProviderUnavailableError} when the provider cannot be reached now
   * @throws {ToolError} when the user has no such account
   */
  token(
    userId: string,
    scopes: readonly string[],
    account?: string,
    rejected?: string,
  ): Promise<ExternalToken>
  /** `fetch` that carries the user's token towards this provider's API origins, and nowhere else. */
  fetch(
    userId: string,
    scopes: readonly string[],
    input: string | URL | Request,
    init?: RequestInit,
    account?: string,
  ): Promise<Response>
  /** Whether `fetch` would carry the token to this URL. */
  isApiUrl(url: URL): boolean
  /**
   * Takes the user's grant back at the provider, for a connection that has ended here. Never throws for what the
   * provider does. Absent: the provider has no way to.
   */
  revoke?(tokens: RevocableTokens): Promise<RevocationResult>
  /** Reads what the provider pushes about accounts, and ends the connections that are meant. Absent: it pushes nothing. */
  readonly securityEvents?: SecurityEventReceiver
  /**
   * Does what is due without a caller: refreshes connections that tools used lately, tells which ones will end, revokes
   * tokens of those that have. Many processes may run it at once. Absent: nothing ever is.
   *
   * @param signal begins nothing more once it is aborted
   * @throws {StoreUnavailableError} when the store does not answer; what was not done is due again
   */
  runDue?(signal?: AbortSignal): Promise<void>
}

/** One of a user's accounts at a provider. */
export interface ConnectedAccount {
  /** Names it in `account` options. A short hash: it says nothing of whose it is. */
  readonly id: string
  /**
   * What its owner knows it by, such as an e-mail address or a name, as far as the provider told: for showing it to
   * them, and no identity.
   */
  readonly label: string | undefined
  /** Whether it is the one that is used where nothing else is said. */
  readonly isDefault: boolean
  readonly state: ConnectionState
  /** What the user granted. */
  readonly scopes: readonly string[]
}

/** External tokens of an ended connection; they open the user's account until they are revoked. */
export interface RevocableTokens {
  readonly accessToken: string
  readonly refreshToken?: string
  /** Private key that the refresh token is bound to (RFC 9449 §5), where it is. */
  readonly dpopKey?: { kty: 'EC'; crv: 'P-256'; x: string; y: string; d: string }
  /** Seconds since the epoch; 0 when the provider does not say. */
  readonly accessEndsAt: number
}

/**
 * What came of a revocation:
 * - `revoked`: the tokens are good for nothing, now or already before
 * - `unsupported`: the provider takes nothing back
 * - `later`: try again with these tokens, which may not be the ones that were given
 * - `refused`: trying again changes nothing, such as with wrong credentials of ours
 */
export type RevocationResult =
  | { outcome: 'revoked' | 'unsupported' | 'refused' }
  | { outcome: 'later'; tokens: RevocableTokens; afterSeconds?: number }

/** An external access token. It redacts itself in JSON, `inspect` and string templates; read `value` on purpose. */
export interface ExternalToken {
  readonly value: string
  /** Seconds since the epoch; 0 when the provider does not say. */
  readonly expiresAt: number
  readonly scopes: readonly string[]
}

/** `another_account`: what is connected works, and the tool needs one more account. */
export type ConnectionReason = 'not_connected' | 'missing_scope' | 'dead' | 'another_account'

/** The user must do something before the tool can go on: connect an account, or grant more. */
export class ConnectionRequiredError extends Error {
  override readonly name = 'ConnectionRequiredError'
  readonly provider: string
  readonly reason: ConnectionReason
  readonly scopes: readonly string[]
  /** Which of the user's accounts it is about; undefined when there is none yet, or any other will do. */
  readonly account: string | undefined
  constructor(
    provider: string,
    reason: ConnectionReason,
    scopes: readonly string[] = [],
    account: string | undefined = reason === 'another_account' ? anotherAccount : undefined,
  ) {
    super(`connection to ${provider} required: ${reason}`)
    this.provider = provider
    this.reason = reason
    this.scopes = scopes
    this.account = account
  }
}

/** The provider cannot be reached or refuses for now; nothing is lost, trying again later is right. */
export class ProviderUnavailableError extends Error {
  override readonly name = 'ProviderUnavailableError'
  readonly provider: string
  /** Seconds, when the provider said so. */
  readonly retryAfterSeconds: number | undefined
  constructor(provider: string, options: { retryAfterSeconds?: number; cause?: unknown } = {}) {
    super(`${provider} is not available`, { cause: options.cause })
    this.provider = provider
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

/** How users sign in: through a provider, or on a page of the application. */
export type SignIn = Provider | PageLogin
