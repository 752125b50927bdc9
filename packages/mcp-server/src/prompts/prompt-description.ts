import type {
  ContentBlock,
  GetPromptResult,
  Icon,
  InputRequiredResult,
  PromptMessage,
} from '@modelcontextprotocol/server'
import type { Completer } from '../completers.ts'
import type { InputOf, Schema } from '../schemas/schema.ts'

/** One turn of a prompt; a text stands for a text block. */
export interface PromptTurn {
  readonly role: PromptMessage['role']
  readonly content: string | ContentBlock
}

/** What a handler may return: what the user says, several such texts and blocks, turns, or a whole `GetPromptResult`. */
export type PromptResult =
  | string
  | ContentBlock
  | readonly (string | ContentBlock | PromptTurn)[]
  | GetPromptResult
  | InputRequiredResult

/** What a prompt says about itself, apart from its handler and its protection. */
export interface PromptDescription<Input extends Schema | undefined = Schema | undefined> {
  /** Name for people. Default: the prompt's name. */
  readonly title?: string
  /** What the prompt is for, for the user who chooses it. */
  readonly description: string
  /** Schema of the arguments, all of them texts on the wire; checked before the handler runs. Default: none. */
  readonly input?: Input
  readonly icons?: readonly Icon[]
  readonly _meta?: Readonly<Record<string, unknown>>
}

/** Values for the arguments while a user types. */
export type ArgumentCompleters<Input, Context> = {
  readonly [Argument in keyof InputOf<Input>]?: Completer<Context>
}
