import type { ClientCapabilities, InputRequiredResult } from '@modelcontextprotocol/server'
import type { ConnectionRequiredError } from '../provider.ts'

/** A request that servers may make of clients (MCP, client features). */
export interface ClientRequest {
  readonly method: 'elicitation/create' | 'sampling/createMessage' | 'roots/list'
  readonly params?: Record<string, unknown>
}

/** Something a call asks its client. */
export interface Question<Answer> {
  readonly request: ClientRequest
  /** Its name among the questions of the call. Default: its place in the order in which they are asked. */
  readonly id?: string | undefined
  /** The answer counts for one run of the call, however often it is sent. Default false. */
  readonly once?: boolean | undefined
  /** An answer counts that came before the question was asked. Default false. */
  readonly beforehand?: boolean | undefined
  /** The answer, checked; undefined when it does not fit and the question must be asked again. */
  read(answer: unknown): Promise<Answer | undefined>
}

/** An account that a call needs and its user has not connected. */
export interface ConnectionNeed {
  /** What the call gets when the user cannot be asked. */
  readonly error: ConnectionRequiredError
  /** Name users know the provider by. */
  readonly label: string
  /** What is missing, in one sentence for the user. */
  readonly message: string
  /** A new link with which this user, and nobody else, connects the account. */
  link(): Promise<string>
  /** Of one more account: the ids of those that do already, to tell it from them. Absent: it is about a certain one. */
  connected?(): Promise<readonly string[]>
  /** @param known what `connected` said before the user was asked */
  isConnected(known?: readonly string[]): Promise<boolean>
}

/** Says what a failed call needs; undefined when no link could help. */
export type NeedOf = (error: ConnectionRequiredError) => ConnectionNeed | undefined

/**
 * How one call asks its client: by requests in the middle of the call (2025), or by results that ask for input and
 * another run of the call (2026-07-28). A call has one of its own, so that no answer can reach another call (R160).
 */
export interface ClientExchange {
  /** What the client says it can do; nothing when it cannot be asked. */
  readonly capabilities: ClientCapabilities
  /** What the handler keeps from one run to the next, by name, as JSON. Default: the call runs once. */
  readonly kept?: Map<string, string>
  /** The client must be able to answer: whoever asks has looked at `capabilities`. */
  ask<Answer>(question: Question<Answer>): Promise<Answer>
  /**
   * Has the user connect an account, and resolves when that is done.
   *
   * @throws {ConnectionRequiredError} when the user cannot be asked, or it took too long
   * @throws {ToolError} when the user declines
   */
  connect(need: ConnectionNeed): Promise<void>
  /**
   * Does the same for what a handler itself threw, and says whether it is to run again, at once: not twice for the same.
   * Absent: the client brings the next run, or there is none. Throws as `connect` does.
   */
  mend?(need: ConnectionNeed): Promise<boolean>
  /** Whether something was asked whose answer comes with another run. Default: never. */
  isAsking?(): boolean
  /** Whether the user has connected one more account in this call already, so that it is not asked for again. */
  hasMore?(need: ConnectionNeed): boolean
  /** Before the handler runs; a result when it is not time for it yet. Throws as `connect` does. */
  begin(needOf: NeedOf): Promise<InputRequiredResult | undefined>
  /** After the handler has run: a result when something was asked that is not answered. */
  finish(error?: unknown): Promise<InputRequiredResult | undefined>
}

/** How long to wait for people, in milliseconds. */
export interface ExchangeTiming {
  /** For an answer to one question. Default 600000. */
  answerMs: number
  /** In one round of a 2026-07-28 call for an account to be connected; then the client calls again. Default 25000. */
  roundMs: number
  /** Between two looks whether an account is connected. Default 500. */
  pollMs: number
}

/** What all exchanges of a server share. */
export interface Waiting {
  timing: ExchangeTiming
  /** Aborts when the server stops: nobody is waited for any more. */
  stopping: AbortSignal
}

export const defaultTiming: ExchangeTiming = { answerMs: 600_000, roundMs: 25_000, pollMs: 500 }

/** For clients that cannot be asked: those of the 2025 revisions over HTTP without a session. */
export const noExchange: ClientExchange = {
  capabilities: {},
  ask: () => Promise.reject(new Error('this client cannot be asked')),
  connect: need => Promise.reject(need.error),
  begin: async () => undefined,
  finish: async () => undefined,
}
