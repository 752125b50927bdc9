import { inspect } from 'node:util'
import type { AccessToken, ConnectionStatus } from '@sallyport/oauth'
import { type Asking, createAsking } from '../elicit/asking.ts'
import { type ClientExchange, type NeedOf, noExchange } from '../elicit/exchange.ts'
import { type ConnectedProvider, ConnectionRequiredError, type ExternalToken } from '../provider.ts'
import type { AccessRule } from './access-rule.ts'
import { ToolError } from './tool-error.ts'

interface CallerBase {
  readonly clientId: string
  readonly scopes: readonly string[]
  /** Id of the sign-in (token family). */
  readonly grantId: string
  /** When the user authenticated, seconds since the epoch. */
  readonly authTime: number | undefined
  /** When the caller's token ends, seconds since the epoch. */
  readonly expiresAt: number
}

/** Who calls a tool, through which client, allowed to do what. Never the token itself (R158). */
export interface Caller extends CallerBase {
  readonly principal: 'user'
  /** Stable random id of the user on this server; not an e-mail address. */
  readonly userId: string
}

/**
 * A client that calls for itself (`client_credentials`): there is no user, and nothing of a user's to be had (R115).
 * Only tools with `clients: true` meet it.
 */
export interface ClientCaller extends CallerBase {
  readonly principal: 'client'
  readonly userId: undefined
}

/** What of a verified token a tool may see. */
export const callerOf = (token: AccessToken): Caller | ClientCaller => ({
  ...(token.principal === 'user'
    ? { principal: token.principal, userId: token.userId }
    : { principal: token.principal, userId: undefined }),
  clientId: token.clientId,
  scopes: token.scopes,
  grantId: token.grantId,
  authTime: token.authTime,
  expiresAt: token.expiresAt,
})

/** The part of a logger a tool gets. */
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

type IsUnion<T, All = T> = T extends All ? ([All] extends [T] ? false : true) : never

/** A tool with one provider need not name it; a tool without a provider has no token to ask for. */
type TokenArguments<ProviderId extends string> = [ProviderId] extends [never]
  ? [provider: never]
  : IsUnion<ProviderId> extends true
    ? [provider: ProviderId]
    : [provider?: ProviderId]

/** What a tool's handler gets besides its input. Its functions need no `this` and may be destructured. */
export interface CallContext<
  C extends Caller | ClientCaller | undefined = Caller | undefined,
  ProviderId extends string = never,
> extends Asking {
  /** Undefined only in public tools and in tools with `anonymous: true`. A `ClientCaller` only with `clients: true`. */
  readonly caller: C
  /**
   * The user's external access token of a provider the tool names in `auth`, refreshed when it was stale. A user who
   * must connect first is asked to, where the client can do that, and the call goes on.
   *
   * @throws {ConnectionRequiredError} when the user must connect first; let it pass, the client gets the link
   * @throws {ProviderUnavailableError} when the provider cannot be reached now
   */
  readonly token: (...provider: TokenArguments<ProviderId>) => Promise<ExternalToken>
  /**
   * How the user's connection to a provider the tool names in `auth` does: whether it works, what it lacks, and when a
   * refresh that failed is tried again. Throws nothing because of its state, and asks nobody but the store.
   */
  readonly connection: (...provider: TokenArguments<ProviderId>) => Promise<ConnectionStatus>
  /**
   * `fetch` that carries the user's external token to the API of a provider the tool names in `auth`, and
   * nothing of the user's to anywhere else. Ends with the call. Throws as `token` does.
   */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>
  /** Aborts when the client has gone or cancelled the call. */
  readonly signal: AbortSignal
  readonly log: ToolLog
}

/** A context of which nothing is known while compiling. */
export type AnyCallContext = CallContext<Caller | ClientCaller | undefined, string>

/** `Then`, unless this `auth` certainly says no, or nothing, about `Key`. */
type IfDeclared<A, Key extends string, Then> = A extends { readonly [K in Key]: infer Value }
  ? [Value] extends [false | undefined]
    ? never
    : Then
  : never

/** The context a tool with this `auth` gets. */
export type ContextOf<A> = A extends object
  ? CallContext<
      Caller | IfDeclared<A, 'anonymous', undefined> | IfDeclared<A, 'clients', ClientCaller>,
      Exclude<keyof A & string, 'scopes' | 'anonymous' | 'clients' | 'maxAgeSeconds'>
    >
  : CallContext

/** A provider in use, with the name users know it by. */
export interface NamedProvider {
  readonly label: string
  readonly connected: ConnectedProvider
}

/** Makes the context of one call. */
export function createCallContext(call: {
  toolName: string
  rule: AccessRule | undefined
  caller: Caller | ClientCaller | undefined
  providers: ReadonlyMap<string, NamedProvider>
  signal: AbortSignal
  log: ToolLog
  /** How the client is asked. Default: it cannot be. */
  exchange?: ClientExchange
  /** What a failed call needs. Default: nothing that could be asked for. */
  needOf?: NeedOf
  /** Default: the platform's. */
  fetch?: typeof fetch
}): AnyCallContext {
  const { caller, signal } = call
  // R115: only a user has tokens of providers.
  const userId = caller?.userId
  const needs = call.rule?.providers ?? new Map<string, readonly string[]>()
  const connectedTo = (id: string): ConnectedProvider => {
    const provider = needs.has(id) ? call.providers.get(id) : undefined
    if (!provider) throw new Error(`Tool "${call.toolName}" does not name provider "${id}" in its auth.`)
    return provider.connected
  }
  /** The provider that is meant, and the user's part in it. */
  const ofUser = (provider: string | undefined) => {
    const id = provider ?? (needs.size === 1 ? [...needs.keys()][0] : undefined)
    if (id === undefined) {
      throw new Error(`Tool "${call.toolName}" names ${needs.size} providers: say which one you mean.`)
    }
    const connected = connectedTo(id)
    if (userId === undefined) throw new ToolError('Sign in first: this needs an account of yours.')
    return { connected, userId, scopes: needs.get(id) ?? [] }
  }
  /** Only providers the tool names may see the user's token, however many the server has. */
  const providerFor = (url: URL) => [...needs.keys()].find(id => connectedTo(id).isApiUrl(url))

  const { exchange = noExchange } = call
  /** Work that needs an account: done again once the user has connected it. */
  const connecting = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      const need = error instanceof ConnectionRequiredError ? call.needOf?.(error) : undefined
      if (!need) throw error
      await exchange.connect(need)
      return work()
    }
  }

  const context: AnyCallContext = {
    ...createAsking(exchange),
    caller,
    signal,
    log: call.log,
    async token(provider) {
      const { connected, userId, scopes } = ofUser(provider)
      return connecting(() => connected.token(userId, scopes))
    },
    async connection(provider) {
      const { connected, userId, scopes } = ofUser(provider)
      return connected.status(userId, scopes)
    },
    async fetch(input, init) {
      const url = new URL(input instanceof Request ? input.url : input)
      const id = userId === undefined ? undefined : providerFor(url)
      const ended = init?.signal ?? (input instanceof Request ? input.signal : undefined)
      const options = { ...init, signal: ended ? AbortSignal.any([ended, signal]) : signal }
      if (userId === undefined || id === undefined) return (call.fetch ?? fetch)(input, options)
      return connecting(() => {
        // A body that was sent is gone: the error says what to do first.
        const again = input instanceof Request && !input.bodyUsed ? input.clone() : input
        return connectedTo(id).fetch(userId, needs.get(id) ?? [], again, options)
      })
    },
  }
  // What a tool prints by accident says who called, and nothing that opens a door (R192).
  const visible = () => ({ tool: call.toolName, caller })
  return Object.defineProperties(context, {
    toJSON: { value: visible },
    [inspect.custom]: { value: visible },
  })
}
