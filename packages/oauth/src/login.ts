/**
 * Port: how the resource owner signs in, and how a connection to an upstream provider is made. Types only:
 * `oauth` learns who the user is, never an external token.
 */
export type Login = RedirectLogin | PageLogin

interface LoginBase {
  /** Last segment of the callback path `/oauth/callback/{id}`: lower-case letters, digits and hyphens. */
  readonly id: string
  /** Name for the consent page, such as `Google`. */
  readonly label: string
  /**
   * Values of `prompt` it honours. One that honours `login` makes the user authenticate anew, keeps to
   * `maxAgeSeconds`, and says in its result when that was. Default: none.
   */
  readonly prompts?: readonly LoginPrompt[]
}

/** How a client wants its user to be asked (OpenID Connect Core §3.1.2.1). */
export type LoginPrompt = 'login' | 'select_account'

/** What a client asks of the authentication. A login is told what its `prompts` say it can do, and nothing else. */
export interface AuthenticationRequest {
  /** How long ago the user may have authenticated, in seconds; checked again when the login has ended. */
  maxAgeSeconds?: number
  prompts?: readonly LoginPrompt[]
  /** Authentication context classes, best first, with spaces between them: a wish, for the login to fulfil. */
  acrValues?: string
}

/** Signs in at an upstream provider by redirect. */
export interface RedirectLogin extends LoginBase {
  readonly kind: 'redirect'
  /** Provider scopes every trip asks for to learn who the user is. The consent page shows them. Default: none. */
  readonly identityScopes?: readonly string[]
  /** Whether a user has one account there at most, so that connecting again takes its place. Default false. */
  readonly hasOneAccount?: boolean
  /** Where to send the browser, and what to remember until it comes back (PKCE verifier, nonce). */
  start(request: LoginStart): Promise<{ url: string; memory: LoginMemory }>
  /**
   * The callback's parameters → who signed in.
   *
   * @throws {LoginError} when the provider refused, the user declined or an answer was not acceptable
   */
  finish(callback: LoginCallback): Promise<LoginResult>
}

/** Signs in on a page of our own: the development sign-in, or the application's function. */
export interface PageLogin extends LoginBase {
  readonly kind: 'page'
  /** Called for each GET and POST of the callback URL until it answers with a result instead of a page. */
  handle(request: PageLoginRequest): Promise<LoginResult | Response>
}

export interface LoginStart extends AuthenticationRequest {
  /** Our callback URL, byte for byte as registered at the provider. */
  callbackUrl: string
  /** `state` of the upstream request; not to be confused with the client's. */
  upstreamState: string
  /** Provider scopes the tools of this sign-in need, beyond what identity needs. */
  scopes: readonly string[]
  /** Present when this user is known already, so that the provider need not give a new refresh token. */
  userId?: string
  /**
   * Which of the user's accounts this is about: its id, or `anotherAccount`, for which the provider should let the user
   * choose. Default: the one that is meant where nobody says which.
   */
  account?: string
}

/** In place of an account's id: one that the user has not connected yet. */
export const anotherAccount = 'another'

/** Survives until the callback, sealed, in the pending authorization. */
export type LoginMemory = Readonly<Record<string, string>>

export interface LoginCallback {
  callbackUrl: string
  /** Query of the callback, parsed from the raw URL. */
  parameters: URLSearchParams
  memory: LoginMemory
  /** Provider scopes asked for at `start`. */
  scopes: readonly string[]
}

export interface PageLoginRequest extends AuthenticationRequest {
  request: Request
  /** The page's own URL, for the form's `action`; it carries the upstream state. */
  url: string
  /** Parsed form of a POST (`application/x-www-form-urlencoded`, same origin, size checked); undefined on GET. */
  form: URLSearchParams | undefined
  /** Name of the server the user signs in to. */
  serverName: string
}

export interface LoginResult {
  /** Identity is (issuer, subject), never an e-mail address (R76). */
  issuer: string
  subject: string
  /** For the account's owner to recognise; not an identity. */
  name?: string
  /**
   * When the user authenticated, seconds since the epoch. When absent, a page means now; of a provider it is not
   * known then, as its user may have signed in there long ago.
   */
  authTime?: number
  /** Authentication context class the user met. */
  acr?: string
  /** Authentication method references (RFC 8176). */
  amr?: readonly string[]
  /**
   * Called once the user id is known, before the client gets a code: stores the connection this sign-in made.
   * `incomplete` when the provider gave less than it would to a user whom we name, such as no refresh token: where
   * tools need the provider, one more trip follows, with the user known.
   */
  onUser?: (userId: string) => Promise<'incomplete' | undefined>
  /**
   * Called in place of `onUser`, or after it threw, when a connection that was asked for is not made: has the provider
   * take back what nobody keeps. `userId`: who the account belongs to here.
   */
  onUnkept?: (userId: string) => Promise<void>
}

/** Lets go of a connection that is not made; what the user is told does not hang on it. */
export async function letGo({ onUnkept }: Pick<LoginResult, 'onUnkept'>, userId: string): Promise<void> {
  // Tokens that could not be put aside end by themselves, as they would without this.
  await onUnkept?.(userId).catch(() => {})
}

/**
 * `disabled`: the user is known, and an administrator has disabled them. `too_many_accounts`: it would be one account of
 * that provider more than a user may connect.
 */
export type LoginErrorReason = 'denied' | 'disabled' | 'failed' | 'unavailable' | 'too_many_accounts'

/**
 * What stood in the way of a sign-in, for whoever runs the server: told in the event `sign_in_failed`, never to the
 * browser or the client.
 * - `client_refused`: the provider refuses our client id or secret
 * - `redirect_uri_refused`: it does not know our redirect URI
 * - `request_refused`: it refuses what was asked, such as a scope
 * - `code_refused`: it refuses its own authorization code
 * - `clock`: its clock and ours are too far apart
 * - `id_token_refused`: its id_token is not one for us
 * - `answer_unusable`: its answer cannot be read
 * - `discovery_unusable`: where its discovery document should be is another one, or none
 * - `unreachable`: it does not answer, or answers that it cannot now
 */
export type LoginProblem =
  | 'client_refused'
  | 'redirect_uri_refused'
  | 'request_refused'
  | 'code_refused'
  | 'clock'
  | 'id_token_refused'
  | 'answer_unusable'
  | 'discovery_unusable'
  | 'unreachable'

/** A sign-in that did not end with a user. The provider's own words stay in `cause` (R77). */
export class LoginError extends Error {
  override readonly name = 'LoginError'
  readonly reason: LoginErrorReason
  /** Undefined where there is nothing for whoever runs the server to mend, or nothing is known. */
  readonly problem: LoginProblem | undefined
  constructor(reason: LoginErrorReason, options: ErrorOptions & { problem?: LoginProblem | undefined } = {}) {
    super(`sign-in ${reason}`, options)
    this.reason = reason
    this.problem = options.problem
  }
}

export interface ConnectionNeed {
  readonly login: RedirectLogin
  readonly scopes: readonly string[]
  /** Not part of the sign-in: a tool asks for it when it first needs it. Default false. */
  readonly isLater?: boolean
}

/** What a sign-in must bring besides a user: connections that the granted scopes' tools need. */
export interface ConnectionPlan {
  /** Providers in the order they are asked, each with the provider scopes needed. */
  readonly needs: readonly ConnectionNeed[]
}

/** Port: which upstream connections a grant needs. The framework knows the tools, the providers the state. */
export interface ConnectionPlanner {
  /** Everything the tools reachable with these scopes need; for the consent page. */
  plan(scopes: readonly string[]): ConnectionPlan
  /**
   * Whether this user already has a working connection with these provider scopes.
   *
   * @param account which account's. Default: the one that is meant where nobody says which
   */
  isConnected(
    userId: string,
    providerId: string,
    scopes: readonly string[],
    account?: string,
  ): Promise<boolean>
  /** Names of the user's accounts, by their id, for their owner to recognise. Default: they have none. */
  accountLabels?(userId: string, providerId: string): Promise<ReadonlyMap<string, string>>
}
