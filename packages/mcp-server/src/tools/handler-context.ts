import { inspect } from 'node:util'
import type { ProgressToken } from '@modelcontextprotocol/server'
import { type Asking, createAsking } from '../elicit/asking.ts'
import { type ClientExchange, type NeedOf, noExchange } from '../elicit/exchange.ts'
import { createKeptState, type KeptState } from '../elicit/kept-state.ts'
import { type ConnectedProvider, ConnectionRequiredError } from '../provider.ts'
import type { AccessRule } from './access-rule.ts'
import type { AnyCallContext, Call, CallLog, CallRequest, NamedProvider, ToolLog } from './call-context.ts'
import { createCallLog } from './call-log.ts'
import type { Caller, ClientCaller } from './caller.ts'
import { ToolError } from './tool-error.ts'

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
    this.#log ??= createCallLog(this.#work.log(), this.#work.call)
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
