import type { LoggingLevel, RequestId, ServerContext } from '@modelcontextprotocol/server'
import type { ConnectionStatus } from '@sallyport/oauth'
import type { Asking } from '../elicit/asking.ts'
import type { ClientExchange } from '../elicit/exchange.ts'
import type { KeptState } from '../elicit/kept-state.ts'
import type { ConnectedAccount, ConnectedProvider, ExternalToken } from '../provider.ts'
import type { AuthKeyword } from './access-rule.ts'
import type { Caller, ClientCaller } from './caller.ts'

export { type Caller, type ClientCaller, callerOf } from './caller.ts'

/** The part of a logger a handler gets. */
export interface ToolLog {
  debug(fields: object, message?: string): void
  debug(message: string): void
  info(fields: object, message?: string): void
  info(message: string): void
  warn(fields: object, message?: string): void
  warn(message: string): void
  error(fields: object, message?: string): void
  error(message: string): void
}

/** Writes to the log of the server, and on purpose to the client. */
export interface CallLog extends ToolLog {
  /**
   * Sends `notifications/message` to the client, which may show it to its user. Nothing is sent to a client that asked
   * for none: since 2026-07-28 each request says which levels it wants. Resolves when it is on its way.
   *
   * @param logger what speaks, such as a part of the server
   */
  toClient(level: LoggingLevel, data: unknown, logger?: string): Promise<void>
}

/** The request of the client, as it came. */
export interface CallRequest {
  /** The client's own number for it: two clients use the same ones. */
  readonly id: RequestId
  /** `tools/call`, `resources/read`, `prompts/get` or `completion/complete`. */
  readonly method: string
  readonly params: Readonly<Record<string, unknown>>
  /** `modern`: 2026-07-28 and later; `legacy`: the 2025 revisions. */
  readonly era: 'modern' | 'legacy'
}

type IsUnion<T, All = T> = T extends All ? ([All] extends [T] ? false : true) : never

/** Which of the user's accounts at a provider. */
export interface AccountChoice {
  /** Its id, as `accounts` tells. Default: the one the user chose, else the one connected first. */
  account?: string | undefined
}

/** Which token. */
export interface TokenChoice extends AccountChoice {
  /** A token of the same account that the API has just refused: another one than this, at the price of a refresh. */
  rejected?: string | undefined
}

/** A tool with one provider need not name it; a tool without a provider has no token to ask for. */
type ProviderArguments<ProviderId extends string> = [ProviderId] extends [never]
  ? [provider: never]
  : IsUnion<ProviderId> extends true
    ? [provider: ProviderId]
    : [provider?: ProviderId]

type TokenArguments<ProviderId extends string, Choice = AccountChoice> = [
  ...ProviderArguments<ProviderId>,
  ...([ProviderId] extends [never] ? [] : [choice?: Choice]),
]

/**
 * What a handler gets besides its input, the same for tools, resources and prompts. Its functions need no `this` and
 * may be destructured; a copy (`{ ...context }`) holds `caller`, `token` and `fetch`. Code deep in a call finds it with
 * `currentCall()`.
 */
export interface CallContext<
  C extends Caller | ClientCaller | undefined = Caller | undefined,
  ProviderId extends string = never,
> extends Asking {
  /** Undefined only where `auth` is missing or has `anonymous: true`. A `ClientCaller` only with `clients: true`. */
  readonly caller: C
  /**
   * The user's external access token of a provider named in `auth`, refreshed when it was stale. A user who must
   * connect first is asked to, where the client can do that, and the call goes on.
   *
   * @throws {ConnectionRequiredError} when the user must connect first; let it pass, the client gets the link
   * @throws {ProviderUnavailableError} when the provider cannot be reached now
   * @throws {ToolError} when the user has no such account; let it pass, the client is told
   */
  readonly token: (...provider: TokenArguments<ProviderId, TokenChoice>) => Promise<ExternalToken>
  /**
   * How the user's connection to a provider named in `auth` does: whether it works, what it lacks, and when a refresh
   * that failed is tried again. Throws nothing because of its state, and asks nobody but the store.
   */
  readonly connection: (...provider: TokenArguments<ProviderId>) => Promise<ConnectionStatus>
  /**
   * The accounts the user has connected at a provider named in `auth`, the one used by default first. For one more, throw
   * `new ConnectionRequiredError(provider, 'another_account')`: the user is asked for it where the client can do that, and
   * the handler runs again from its beginning.
   */
  readonly accounts: (...provider: ProviderArguments<ProviderId>) => Promise<readonly ConnectedAccount[]>
  /**
   * `fetch` that carries the user's external token to the API of a provider named in `auth`, and nothing of the user's
   * to anywhere else. Ends with the call. Throws as `token` does.
   */
  readonly fetch: (input: string | URL | Request, init?: RequestInit & AccountChoice) => Promise<Response>
  /**
   * Tells the client how far the call is. Nothing is sent to a client that did not ask (`progressToken`). Of a task it
   * becomes the status message.
   *
   * @param done grows with each call
   * @param total what `done` will be in the end, when it is known
   */
  readonly progress: (done: number, total?: number, message?: string) => Promise<void>
  /** Aborts when the client has gone or cancelled the call. */
  readonly signal: AbortSignal
  /**
   * Lets go of the client's connection while the call goes on, for a call that takes long: a client with a session comes
   * back for what it has missed (`Last-Event-ID`). Without a session, and since 2026-07-28, it does nothing.
   *
   * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#resumability-and-redelivery
   */
  readonly closeStream: () => Promise<void>
  /**
   * Makes a task of a call whose tool has `taskCreation: 'by-handler'`: the client is answered with the task, and the
   * handler goes on. What was asked so far was answered in rounds of the call; what is asked from now on is answered
   * within the task. Does nothing when the call is a task already, or cannot become one.
   *
   * @throws {ToolError} when the caller has too many tasks; let it pass, the client is told
   */
  readonly createTask: () => Promise<void>
  readonly log: CallLog
  readonly request: CallRequest
  /** What the call keeps while it asks: in 2026-07-28 its handler runs again with each answer. */
  readonly requestState: KeptState
}

/** A context of which nothing is known while compiling. */
export type AnyCallContext = CallContext<Caller | ClientCaller | undefined, string>

/** `Then`, unless this `auth` certainly says no, or nothing, about `Key`. */
type IfDeclared<A, Key extends string, Then> = A extends { readonly [K in Key]: infer Value }
  ? [Value] extends [false | undefined]
    ? never
    : Then
  : never

/** The context a handler with this `auth` gets. */
export type ContextOf<A> = A extends object
  ? CallContext<
      Caller | IfDeclared<A, 'anonymous', undefined> | IfDeclared<A, 'clients', ClientCaller>,
      Exclude<keyof A & string, AuthKeyword>
    >
  : CallContext

/** A provider in use, with the name users know it by. */
export interface NamedProvider {
  readonly label: string
  readonly connected: ConnectedProvider
}

/** One request of a client, from the side of the protocol. */
export interface Call extends CallRequest {
  readonly caller: Caller | ClientCaller | undefined
  readonly signal: AbortSignal
  /** How the client is asked. Default: it cannot be. */
  readonly exchange?: ClientExchange | undefined
  /** Of a call that goes on after its answer, as a task: how it says how far it is. There is no stream. */
  readonly background?: { say(message: string): void } | undefined
  /** Of a call that becomes a task when its handler says so: makes it one. Default: it stays what it is. */
  readonly createTask?: () => Promise<void>
  /**
   * The way to the client while the call runs. Asking for it may open a stream, so only what needs the client asks:
   * most calls never do.
   */
  client(): Promise<ServerContext>
}
