import type {
  CallToolResult,
  Icon,
  InputRequiredResult,
  StandardSchemaWithJSON,
  ToolAnnotations,
} from '@modelcontextprotocol/server'
import type { ToolUi } from '../apps/tool-ui.ts'
import type { JsonSchema, Schema } from '../schemas/schema.ts'

/** What `CallToolResult` names; with the rest of what it takes, compilers compare every wrong result with it first. */
interface WholeResult extends Pick<CallToolResult, 'content' | 'structuredContent' | 'isError' | '_meta'> {}

/** What a handler may return: a text, content, a whole `CallToolResult`, or any value JSON can hold. */
export type ResultOf<S> = S extends StandardSchemaWithJSON
  ? StandardSchemaWithJSON.InferInput<S> | WholeResult | InputRequiredResult
  : S extends JsonSchema
    ? unknown
    : unknown

/** Whether a tool may be, must be or is never a task. */
export type TaskSupport = 'optional' | 'required' | 'forbidden'

/** When a call becomes a task: before its handler runs, or when the handler says so. */
export type TaskCreation = 'at-once' | 'by-handler'

/** What a tool says about itself, apart from its handler and its protection. */
export interface ToolDescription<
  Input extends Schema | undefined = Schema | undefined,
  Output extends Schema | undefined = Schema | undefined,
> {
  /** Name for people. Default: the tool's name. */
  readonly title?: string
  /** What the tool does, for the model that chooses it. */
  readonly description: string
  /**
   * Schema of the arguments; checked before the handler runs. A property marked `x-mcp-header` is repeated in a header
   * of that name, and compared. Default: no arguments.
   */
  readonly input?: Input
  /** Schema of the result; the handler's value is then sent as structured content too. Default: none. */
  readonly output?: Output
  /**
   * Whether the call may go on after it was answered, as a task whose result the client fetches later: `optional` for
   * clients that know tasks, `required` for those alone, `forbidden` for none. Default `forbidden`.
   */
  readonly task?: TaskSupport
  /**
   * When such a call becomes a task: `at-once`, or `by-handler`, with `createTask()` of the context. The handler can then
   * ask in rounds of the call before there is a task, or answer without one. Default `at-once`.
   */
  readonly taskCreation?: TaskCreation
  /**
   * The page that shows the result, in hosts that know MCP Apps (`io.modelcontextprotocol/ui`), or the `ui://` URI of a
   * resource that is one. Default: none, the result is text.
   */
  readonly ui?: string | ToolUi
  /** Hints for the client, such as `readOnlyHint`. They protect nothing. */
  readonly annotations?: ToolAnnotations
  /** Pictures for the client's list of tools. */
  readonly icons?: readonly Icon[]
  /** Further facts for clients that know them, by name with a prefix (`example.com/…`). */
  readonly _meta?: Readonly<Record<string, unknown>>
}
