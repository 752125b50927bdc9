import type { CallToolResult, StandardSchemaWithJSON, ToolAnnotations } from '@modelcontextprotocol/server'

/** A Standard Schema that can also be shown as JSON Schema: zod 4, ArkType, Valibot with its converter. */
export type ToolSchema = StandardSchemaWithJSON

/** What a handler gets for a tool's `input`. */
export type InputOf<Schema> = Schema extends StandardSchemaWithJSON
  ? StandardSchemaWithJSON.InferOutput<Schema>
  : Readonly<Record<string, never>>

/** What a handler may return: a text, a whole `CallToolResult`, or any value JSON can hold. */
export type ResultOf<Schema> = Schema extends StandardSchemaWithJSON
  ? StandardSchemaWithJSON.InferInput<Schema> | CallToolResult
  : unknown

/** What a tool says about itself, apart from its handler and its protection. */
export interface ToolDescription<
  Input extends ToolSchema | undefined = ToolSchema | undefined,
  Output extends ToolSchema | undefined = ToolSchema | undefined,
> {
  /** Name for people. Default: the tool's name. */
  readonly title?: string
  /** What the tool does, for the model that chooses it. */
  readonly description: string
  /** Schema of the arguments; checked before the handler runs. Default: no arguments. */
  readonly input?: Input
  /** Schema of the result; the handler's value is then sent as structured content too. Default: none. */
  readonly output?: Output
  /** Hints for the client, such as `readOnlyHint`. They protect nothing. */
  readonly annotations?: ToolAnnotations
}
