import { inspect } from 'node:util'
import type { LoggingLevel, ProgressToken, RequestId, ServerContext } from '@modelcontextprotocol/server'
import type { ConnectionStatus } from '@sallyport/oauth'
import { type Asking, createAsking } from '../elicit/asking.ts'
import { type ClientExchange, type NeedOf, noExchange } from '../elicit/exchange.ts'
import { createKeptState, type KeptState } from '../elicit/kept-state.ts'
import {
  type ConnectedAccount,
  type ConnectedProvider,
  ConnectionRequiredError,
  type ExternalToken,
} from '../provider.ts'
import type { AccessRule, AuthKeyword } from './access-rule.ts'
import type { Caller, ClientCaller } from './caller.ts'
import { ToolError } from './tool-error.ts'

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

/** What the context of a call is made of. */
export interface CallWork {
  /** Whose handler gets it, for messages, such as `Tool "events"`. */
  readonly where: string
  readonly rule: AccessRule | undefined
  readonly caller: Caller | ClientCaller | undefined
  readonly providers: ReadonlyMap<string, NamedProvider>
  readonly call: Call
  /** Makes the log, once somebody writes to it. */
  readonly log: () => ToolLog
  /** How the client is asked. Default: it cannot be. */
  readonly exchange?: ClientExchange | undefined
  /** What a failed call needs. Default: nothing that could be asked for. */
  readonly needOf?: NeedOf
  /** Default: the platform's. */
  readonly fetch?: typeof fetch
}

/** Makes the context of one call. */
export const createCallContext = (work: CallWork): AnyCallContext => new HandlerContext(work)

/**
 * Everything but the caller is made when it is read: most handlers read one or two of its members. A class, because V8
 * makes a shape of its own for each object that a literal gives a getter, which costs more than a call does.
 */
class HandlerContext implements AnyCallContext {
  readonly caller: Caller | ClientCaller | undefined
  readonly #work: CallWork
  #asking: Asking | undefined
  #log: CallLog | undefined
  #requestState: KeptState | undefined
  constructor(work: CallWork) {
    this.caller = work.caller
    this.#work = work
  }

  // Its own, unlike the others: a client library that is given the context may copy it, as Octokit does.
  readonly token: AnyCallContext['token'] = async (provider, choice) => {
    const { connected, userId, scopes } = this.#ofUser(provider)
    const { account, rejected } = choice ?? {}
    return this.#connecting(() =>
      rejected === undefined
        ? connected.token(userId, scopes, account)
        : connected.token(userId, scopes, account, rejected),
    )
  }
  readonly fetch: AnyCallContext['fetch'] = async (input, { account, ...init } = {}) => {
    const { signal } = this.#work.call
    const url = new URL(input instanceof Request ? input.url : input)
    const userId = this.caller?.userId
    const id = userId === undefined ? undefined : this.#providerFor(url)
    const ended = init.signal ?? (input instanceof Request ? input.signal : undefined)
    const options = { ...init, signal: ended ? AbortSignal.any([ended, signal]) : signal }
    if (userId === undefined || id === undefined) return (this.#work.fetch ?? fetch)(input, options)
    return this.#connecting(() => {
      // A body that was sent is gone: the error says what to do first.
      const again = input instanceof Request && !input.bodyUsed ? input.clone() : input
      return this.#connectedTo(id).fetch(userId, this.#needs.get(id) ?? [], again, options, account)
    })
  }

  get clientCan() {
    return this.#ask().clientCan
  }
  get elicit() {
    return this.#ask().elicit
  }
  get sample() {
    return this.#ask().sample
  }
  get roots() {
    return this.#ask().roots
  }
  get signal() {
    return this.#work.call.signal
  }
  get log() {
    this.#log ??= callLog(this.#work.log(), this.#work.call)
    return this.#log
  }
  get requestState() {
    this.#requestState ??= createKeptState(this.#work.exchange?.kept ?? new Map())
    return this.#requestState
  }
  get request(): CallRequest {
    const { id, method, params, era } = this.#work.call
    return { id, method, params, era }
  }
  get progress(): AnyCallContext['progress'] {
    const { call } = this.#work
    return async (progress, total, message) => {
      if (call.background) {
        call.background.say(message ?? (total === undefined ? `${progress}` : `${progress} of ${total}`))
        return
      }
      const token = progressTokenOf(call)
      if (token === undefined) return
      const { mcpReq } = await call.client()
      await mcpReq.notify({
        method: 'notifications/progress',
        params: {
          progressToken: token,
          progress,
          ...(total !== undefined && { total }),
          ...(message !== undefined && { message }),
        },
      })
    }
  }
  get closeStream(): AnyCallContext['closeStream'] {
    const { call } = this.#work
    return async () => {
      if (call.era === 'modern') return
      const { http } = await call.client()
      http?.closeSSE?.()
    }
  }
  get createTask(): AnyCallContext['createTask'] {
    const { call } = this.#work
    return async () => call.createTask?.()
  }
  get connection(): AnyCallContext['connection'] {
    return async (provider, choice) => {
      const { connected, userId, scopes } = this.#ofUser(provider)
      return connected.status(userId, scopes, choice?.account)
    }
  }
  get accounts(): AnyCallContext['accounts'] {
    return async provider => {
      const { connected, userId } = this.#ofUser(provider)
      return connected.accounts(userId)
    }
  }

  // What a handler prints by accident says who called, and nothing that opens a door (R192).
  toJSON() {
    return { offer: this.#work.where, caller: this.caller }
  }
  [inspect.custom]() {
    return this.toJSON()
  }

  get #needs() {
    return this.#work.rule?.providers ?? noProviders
  }

  /** One for the whole call: it numbers the questions. */
  #ask(): Asking {
    this.#asking ??= createAsking(this.#work.exchange ?? noExchange)
    return this.#asking
  }

  #connectedTo(id: string): ConnectedProvider {
    const provider = this.#needs.has(id) ? this.#work.providers.get(id) : undefined
    if (!provider) throw new Error(`${this.#work.where} does not name provider "${id}" in its auth.`)
    return provider.connected
  }

  /** The provider that is meant, and the user's part in it. */
  #ofUser(provider: string | undefined) {
    const needs = this.#needs
    const id = provider ?? (needs.size === 1 ? [...needs.keys()][0] : undefined)
    if (id === undefined) {
      throw new Error(`${this.#work.where} names ${needs.size} providers: say which one you mean.`)
    }
    const connected = this.#connectedTo(id)
    // R115: only a user has tokens of providers.
    const userId = this.caller?.userId
    if (userId === undefined) throw new ToolError('Sign in first: this needs an account of yours.')
    return { connected, userId, scopes: needs.get(id) ?? [] }
  }

  /** Only providers the offer names may see the user's token, however many the server has. */
  #providerFor(url: URL): string | undefined {
    return [...this.#needs.keys()].find(id => this.#connectedTo(id).isApiUrl(url))
  }

  /** Work that needs an account: done again once the user has connected it. */
  async #connecting<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const need = error instanceof ConnectionRequiredError ? this.#work.needOf?.(error) : undefined
      if (!need) throw error
      await (this.#work.exchange ?? noExchange).connect(need)
      return work()
    }
  }
}

const noProviders: ReadonlyMap<string, readonly string[]> = new Map()

function progressTokenOf({ params }: CallRequest): ProgressToken | undefined {
  const token = (params._meta as { progressToken?: unknown } | undefined)?.progressToken
  return typeof token === 'string' || typeof token === 'number' ? token : undefined
}

const logLevelKey = 'io.modelcontextprotocol/logLevel'

function callLog(log: ToolLog, request: Call): CallLog {
  const wanted = (request.params._meta as Record<string, unknown> | undefined)?.[logLevelKey]
  return {
    debug: log.debug.bind(log) as ToolLog['debug'],
    info: log.info.bind(log) as ToolLog['info'],
    warn: log.warn.bind(log) as ToolLog['warn'],
    error: log.error.bind(log) as ToolLog['error'],
    async toClient(level, data, logger) {
      if (request.background || (request.era === 'modern' && wanted === undefined)) return
      const { mcpReq } = await request.client()
      await mcpReq.log(level, data, logger)
    },
  }
}
