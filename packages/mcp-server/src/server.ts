import type { CacheHint, Icon, ServerNotifier } from '@modelcontextprotocol/server'
import type { Admin, Clock, RandomBytes, RecordedEventSink, Store } from '@sallyport/oauth'
import type { Hono } from 'hono'
import type { CallFilter, CallKind, CallMiddleware } from './composition/call-middleware.ts'
import type { HttpMiddleware } from './composition/http-middleware.ts'
import type { Settings } from './config.ts'
import type { ExchangeTiming } from './elicit/exchange.ts'
import type { Environment } from './environment.ts'
import type { ExternalIssuer } from './external-issuer.ts'
import type { InBandChallenges } from './in-band-challenge.ts'
import type { Log } from './log.ts'
import type { OfferHandle } from './offers.ts'
import type { ArgumentCompleters, PromptDescription, PromptResult } from './prompts/prompt-description.ts'
import type { Provider, SignIn } from './provider.ts'
import type { ProxyOptions } from './proxy/proxy-options.ts'
import type { RequestEnvironment } from './request-environment.ts'
import type { ResourceDescription, TemplateDescription } from './resources/resource-description.ts'
import type { VariablesOf } from './resources/resource-template.ts'
import type { InputOf, Schema } from './schemas/schema.ts'
import type { SessionOptions } from './sessions/sessions.ts'
import type { SignInOptions } from './sign-in.ts'
import type { TaskOptions } from './tasks/task-options.ts'
import type { Auth } from './tools/access-rule.ts'
import type { ContextOf } from './tools/call-context.ts'
import type { ResultOf, ToolDescription } from './tools/tool-description.ts'

/** Options of a server: who it is, how users sign in, and every setting a deployer has (code wins). */
export interface ServerOptions<
  S extends SignIn | undefined = SignIn | undefined,
  P extends readonly Provider[] = readonly Provider[],
  Scope extends string = string,
  I extends string | ExternalIssuer | undefined = string | ExternalIssuer | undefined,
> extends Settings,
    SignInOptions<Scope> {
  /** Name of the server, for clients. */
  name: string
  /** Version of the server, for clients, such as `1.0.0`. */
  version: string
  /** Name for people, on the consent page too. Default: the name. */
  title?: string
  /** What the server is for; clients may show it to users. */
  description?: string
  /** Where people can read more about it. */
  websiteUrl?: string
  /** Pictures for the client's list of servers. */
  icons?: readonly Icon[]
  /** How the tools are meant to be used, for the model. */
  instructions?: string
  /**
   * How users sign in. Default: not at all, then every tool is public unless there is an `issuer`. Beside an `issuer`:
   * how its users show who they are when they connect a provider.
   */
  signIn?: S
  /**
   * The authorization server whose tokens count, in place of ours: its identifier, or that with what else is needed to
   * trust it. Default: none, this server issues its tokens itself.
   */
  issuer?: I
  /**
   * Public client at the issuer with which users sign in over stdio; its redirect URI is `http://127.0.0.1/callback`, on
   * any port. Default: the server registers itself (RFC 7591).
   */
  stdioClientId?: string
  /** Further providers whose APIs tools use. */
  providers?: P
  /** Default: what `SESSION_PROVIDER` names. A store given here is not closed with the server. */
  store?: Store
  /** Further `Host` values the server answers to, such as `internal:3000`. Default: that of the public URL. */
  allowedHosts?: readonly string[]
  /** Further origins whose pages may use the MCP endpoint: clients that run in a browser. Default: none. */
  allowedOrigins?: readonly string[]
  /** Ask for sign-in when a client connects. Default: as soon as one tool is protected and none is public. */
  challengeOnConnect?: boolean
  /**
   * Tells clients what a protected tool lacks in the tool's result (`_meta["mcp/www_authenticate"]`) in place of 401 and
   * 403, and says in `tools/list` what each tool needs (`securitySchemes`), as ChatGPT wants it. Other clients need the
   * status: name those that do not, such as `userAgent => userAgent.startsWith('openai-mcp')`. Default false.
   */
  inBandChallenges?: InBandChallenges
  /** How many items one answer to a list holds. Default: all; some clients read the first answer only. */
  pageSize?: number
  /**
   * How long clients may keep lists, in milliseconds (`ttlMs`), and whether one copy may serve several (`cacheScope`).
   * Where anything has `auth`, lists are private whatever this says. Default: not kept.
   */
  cache?: CacheHint
  /** Shows callers the message of any error a handler throws. Default false: of `ToolError` only. */
  exposeErrors?: boolean
  /**
   * Answers calls that need no stream without the SDK's engine. The answers are the same, at a fraction of the cost.
   * Default true.
   */
  leanCalls?: boolean
  /** Largest request body of the MCP endpoint, in bytes. Default 1048576. */
  maxBodyBytes?: number
  /** Sessions of clients of the 2025 revisions, over which tools ask them. Default: for those that can be asked. */
  sessions?: SessionOptions
  /** How calls are kept that go on after they were answered, as tasks. */
  tasks?: TaskOptions
  /** How long tools wait for people. Default: ten minutes for an answer. */
  questionTiming?: Partial<ExchangeTiming>
  /** Default: stderr at the level of `LOG_LEVEL`, as JSON lines; at a terminal in development as plain lines. */
  logger?: Log
  /** Told every event; what it throws is logged. */
  onEvent?: RecordedEventSink
  /** Default: `process.env`. */
  environment?: Environment
  /** Tells the time in seconds since the epoch, for tests. Default: the machine's. */
  clock?: Clock
  /** Makes random bytes, for tests. Default: those of `node:crypto`. */
  random?: RandomBytes
}

/** Who vouches for callers: the server's own sign-in, or the issuer that it trusts. */
export type SignedInBy<S, I> = [S] extends [undefined]
  ? [I] extends [undefined]
    ? undefined
    : ExternalIssuer
  : S

/** Ids tools may name in `auth`. With an issuer alone there are none: nothing keeps what its users connect. */
type IdsOf<S, P> = [S] extends [ExternalIssuer] ? never : ProviderIds<S, P>
type ProviderIds<S, P> =
  | (S extends Provider<infer Id> ? Id : never)
  | (P extends readonly (infer Each)[] ? (Each extends Provider<infer Id> ? Id : never) : never)

/** In place of `auth` where nobody can sign in: its name is what a developer reads. */
interface GiveCreateServerSignInOrIssuer {
  readonly 'nobody can sign in at this server': never
}

/** A server without sign-in and without issuer has no protected tools. */
type AuthOn<S, P, Scope extends string> = [S] extends [undefined]
  ? GiveCreateServerSignInOrIssuer | undefined
  : Auth<IdsOf<S, P>, Scope> | undefined

/** What would otherwise be taken without a word: an inferred type lets unknown keys pass. */
type NoUnknown<A, Known> = A extends object
  ? {
      readonly [Key in Exclude<
        keyof A,
        keyof Known
      >]: `"${Key & string}" is neither a provider of this server nor a word of auth`
    }
  : unknown

/** A tool in full. */
export interface ToolDefinition<
  Input extends Schema | undefined,
  Output extends Schema | undefined,
  A,
  Known = object,
> extends ToolDescription<Input, Output> {
  /**
   * What the tool asks of its caller. Absent: a public tool. `{}`: any signed-in user.
   */
  readonly auth?: A & NoUnknown<A, Known>
  /**
   * What the tool does, with the checked arguments and the context of the call. Returns a text, `content`, a whole
   * `CallToolResult`, or a value that JSON can hold; throws `ToolError` with what the model may read.
   */
  readonly run: (input: InputOf<Input>, context: ContextOf<A>) => ResultOf<Output> | Promise<ResultOf<Output>>
}

/** A resource in full, or the resources of a template. */
export interface ResourceDefinition<Uri extends string, A, Known = object>
  extends ResourceDescription,
    TemplateDescription<Uri, ContextOf<A>> {
  /** What the resource asks of who reads it, as a tool does of its caller. */
  readonly auth?: A & NoUnknown<A, Known>
  /** Gets the variables of the template; what it returns is the contents. */
  readonly run: (variables: VariablesOf<Uri>, context: ContextOf<A>) => unknown
}

/** A prompt in full. */
export interface PromptDefinition<Input extends Schema | undefined, A, Known = object>
  extends PromptDescription<Input> {
  /** What the prompt asks of who uses it, as a tool does of its caller. */
  readonly auth?: A & NoUnknown<A, Known>
  /** Values for the arguments while a user types. */
  readonly complete?: ArgumentCompleters<Input, ContextOf<A>>
  /** Gets the checked arguments; what it returns is what the user says: a text, `content`, several, or turns with a role. */
  readonly run: (input: InputOf<Input>, context: ContextOf<A>) => PromptResult | Promise<PromptResult>
}

/** How to start. */
export interface StartOptions {
  /**
   * Default: what `SALLYPORT_TRANSPORT` says, `http` or `stdio`; else `http`. `mounted`: another server listens and
   * hands requests to `fetch` or has `app` mounted at its root; everything is checked and made ready, and whoever
   * listens closes this server with its own.
   */
  transport?: 'http' | 'stdio' | 'mounted'
  /** Prints nothing. Default false. */
  silent?: boolean
  /** Throws a `ConfigurationError` instead of printing its sentence and ending the process. Default false. */
  throwOnError?: boolean
  /** Stops gracefully on SIGINT and SIGTERM. Default true. */
  handleSignals?: boolean
}

/** A server of which nothing is known while compiling. */
// biome-ignore lint/suspicious/noExplicitAny: a server of any sign-in, providers and scopes
export type AnyServer = Pick<Server<any, any, any>, 'app' | 'url' | 'serves' | 'close'>

/** An MCP server. */
export interface Server<
  S extends SignIn | ExternalIssuer | undefined = SignIn | ExternalIssuer | undefined,
  P extends readonly Provider[] = readonly Provider[],
  Scope extends string = string,
> {
  /**
   * Adds a tool.
   *
   * @throws {ConfigurationError} when the definition cannot work, or the server has started
   */
  tool<
    Input extends Schema | undefined = undefined,
    Output extends Schema | undefined = undefined,
    const A extends AuthOn<S, P, Scope> = undefined,
  >(name: string, definition: ToolDefinition<Input, Output, A, Auth<IdsOf<S, P>, Scope>>): OfferHandle
  /**
   * Adds a resource.
   *
   * @param uri of one resource, or a template of URIs such as `notes://{id}` (RFC 6570)
   * @throws {ConfigurationError} when the definition cannot work, or the server has started
   */
  resource<const Uri extends string, const A extends AuthOn<S, P, Scope> = undefined>(
    uri: Uri,
    definition: ResourceDefinition<Uri, A, Auth<IdsOf<S, P>, Scope>>,
  ): OfferHandle
  /**
   * Adds a prompt.
   *
   * @throws {ConfigurationError} when the definition cannot work, or the server has started
   */
  prompt<Input extends Schema | undefined = undefined, const A extends AuthOn<S, P, Scope> = undefined>(
    name: string,
    definition: PromptDefinition<Input, A, Auth<IdsOf<S, P>, Scope>>,
  ): OfferHandle
  /**
   * Puts middleware around calls: of every kind, or of those that `filter` names. It runs inside the call context, after
   * `auth` and the check of arguments, around the handler; the first one added is the outermost. A call that asks its
   * client runs once per round (2026-07-28), and its middleware with it.
   *
   * @throws {ConfigurationError} when it is no middleware, or the server has started; at start when a name fits nothing
   */
  use(middleware: CallMiddleware): void
  use<const Kind extends CallKind = CallKind>(
    filter: CallFilter<Kind>,
    middleware: CallMiddleware<Kind>,
  ): void
  /**
   * Puts middleware of Hono around HTTP requests, those to the server's own endpoints too, after the Host check and
   * before anything is read of them. `/health` and stdio know none.
   *
   * @param path pattern of Hono, such as `/mcp` or `/*`
   */
  use(path: `/${string}`, ...middleware: [HttpMiddleware, ...HttpMiddleware[]]): void
  /**
   * Brings in what another server offers: its tools and prompts as `prefix_name`, its resources with the prefix in front
   * of their path (`notes://all` becomes `notes://prefix/all`), with their `auth`, completion, middleware and changes. Its
   * providers come along, and what it says of scopes; everything else it was created with has no effect here. It is not
   * started.
   *
   * @param prefix of letters, digits, `_` and `-`
   * @throws {ConfigurationError} when it is no server or the prefix cannot be one; at start when names clash, or the two
   *   servers contradict each other about a scope
   */
  mount(prefix: string, other: AnyServer): void
  /**
   * Brings in what a remote MCP server offers, by its schemas: calls go on to it, with credentials of their own and never
   * with the caller's token. It is connected when this server starts, or as soon as it is there.
   *
   * @throws {ConfigurationError} when the options cannot work, or would lend credentials to everybody
   */
  proxy(options: ProxyOptions<AuthOn<S, P, Scope>, IdsOf<S, P>>): void
  /**
   * Tells clients that listen what has changed: which resources there are, or one of them. Those hear of it who may
   * read it.
   */
  readonly notify: ServerNotifier
  /**
   * Adds what objects offer whose classes use `@tool`, `@resource` and `@prompt`.
   *
   * @throws {ConfigurationError} when one has none, or a definition cannot work
   */
  register(...instances: object[]): void
  /**
   * The server as a Hono app. Routes added to it are served after the server's own, behind the Host check.
   */
  readonly app: Hono<{ Bindings: RequestEnvironment }>
  /** URL of the MCP endpoint; with port 0 it is known once the server listens. */
  readonly url: string
  /**
   * What an operator can see and end. It needs no listening server: a script with the same settings can use it and
   * close the server again. All of it throws as {@link Admin} says, and `ConfigurationError` on a server without
   * sign-in.
   */
  readonly admin: Admin
  /**
   * Serves, and prints what to paste into which client. A configuration that cannot work is printed as one
   * sentence on stderr and ends the process with code 1, unless `throwOnError` is set.
   *
   * @throws {StoreUnavailableError} when the store cannot answer
   */
  start(options?: StartOptions): Promise<void>
  /**
   * Answers one request, without listening: for another host, and for tests.
   *
   * @throws {ConfigurationError}
   */
  fetch(request: Request, info?: RequestEnvironment): Promise<Response>
  /**
   * Whether a path is the server's own: the MCP endpoint, its metadata, OAuth, account and health. For a host that
   * decides by path what goes to `fetch`; routes added to `app` are not among them.
   */
  serves(path: string): boolean
  /** Takes no more requests, lets those under way finish for up to 10 s, and closes the store. */
  close(): Promise<void>
}
