import type {
  CallToolResult,
  ContentBlock,
  GetPromptResult,
  InputRequiredResult,
  ReadResourceResult,
} from '@modelcontextprotocol/server'
import type { PromptResult } from '../prompts/prompt-description.ts'
import type { AnyCallContext } from '../tools/call-context.ts'

interface CallBase {
  /**
   * Name of the tool or prompt, of a resource its URI or template, as it was declared: on a mounted server its own
   * name, without prefix.
   */
  readonly name: string
  /** What the handler gets: the caller, the log, the signal … */
  readonly context: AnyCallContext
}

/** A call of a tool. */
export interface ToolCall extends CallBase {
  readonly kind: 'tool'
  /** The arguments, valid. */
  readonly input: unknown
}

/** A reading of a resource. */
export interface ResourceCall extends CallBase {
  readonly kind: 'resource'
  /** What the template finds in the URI. */
  readonly input: Readonly<Record<string, string | string[]>>
  /** As it was asked for. */
  readonly uri: string
}

/** A use of a prompt. */
export interface PromptCall extends CallBase {
  readonly kind: 'prompt'
  /** The arguments, valid. */
  readonly input: unknown
}

/** A search for values of an argument, while a user types. `name` is that of the prompt or template. */
export interface CompletionCall extends CallBase {
  readonly kind: 'completion'
  readonly argument: string
  readonly typed: string
}

/** What middleware can stand around. */
export type MiddlewareCall = ToolCall | ResourceCall | PromptCall | CompletionCall

/** Kinds of calls. */
export type CallKind = MiddlewareCall['kind']

/** What `next()` gives: what the handler returned, as a result. */
export interface CallResults {
  tool: CallToolResult | InputRequiredResult
  /** Undefined: there is no such resource. */
  resource: ReadResourceResult | InputRequiredResult | undefined
  prompt: GetPromptResult | InputRequiredResult
  completion: readonly string[]
}

/** What middleware may return: what `next()` gives, or what a handler of that kind may return. */
export interface CallAnswers {
  tool: CallResults['tool'] | string | ContentBlock | readonly ContentBlock[]
  resource: CallResults['resource'] | string | Uint8Array
  prompt: CallResults['prompt'] | PromptResult
  completion: readonly string[]
}

/**
 * Runs around calls, inside of `auth` and the check of arguments and outside of the handler. What it throws and returns
 * counts as the handler's own: results are checked, a `ToolError` is told to the caller, anything else is logged.
 *
 * @param next goes on with the call; more than once runs the handler more than once, and not at all never
 */
export type CallMiddleware<Kind extends CallKind = CallKind> = (
  call: Extract<MiddlewareCall, { kind: Kind }>,
  next: () => Promise<CallResults[Kind]>,
) => CallAnswers[Kind] | Promise<CallAnswers[Kind]>

/** Which calls middleware stands around. */
export interface CallFilter<Kind extends CallKind = CallKind> {
  /** Default: all. */
  readonly kind?: Kind | readonly Kind[]
  /** As declared, with `*` for any number of characters; several: any of them. Default: all. */
  readonly name?: string | readonly string[]
}
