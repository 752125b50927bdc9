import type { Tool as ToolListing } from '@modelcontextprotocol/server'
import { ConfigurationError } from '@sallyport/oauth'
import { toolUiMeta, toolView, type View } from '../apps/tool-ui.ts'
import { checkKeys } from '../known-keys.ts'
import { type Offer, offerName } from '../offers.ts'
import { declaresParamHeaders } from '../schemas/param-headers.ts'
import { type CompiledSchema, compileSchema } from '../schemas/schema.ts'
import type { AccessRule, AnyAuth } from './access-rule.ts'
import type { AnyCallContext } from './call-context.ts'
import { ruleOf } from './offer-rule.ts'
import type { TaskCreation, TaskSupport, ToolDescription } from './tool-description.ts'

/** A tool, checked and ready to be called. */
export interface Tool extends Offer {
  readonly kind: 'tool'
  readonly description: ToolDescription
  /** What `tools/list` says of it. */
  readonly listing: ToolListing
  readonly input: CompiledSchema | undefined
  readonly output: CompiledSchema | undefined
  readonly task: TaskSupport
  readonly taskCreation: TaskCreation
  /** What shows its result. */
  readonly view: View | undefined
  /** Whether some of its arguments are repeated in headers. */
  readonly paramHeaders: boolean
  readonly run: (input: unknown, context: AnyCallContext) => unknown
}

/** Names every client accepts. */
const toolName = /^[A-Za-z0-9_./-]{1,64}$/

/** Whether every client accepts a name. */
export const isToolName = (name: unknown): boolean => typeof name === 'string' && toolName.test(name)

/** @throws {ConfigurationError} when the name is none that clients accept */
export function checkName(name: string, where: string): void {
  if (!isToolName(name)) {
    throw new ConfigurationError(`The name of ${where} must be 1 to 64 of A-Z, a-z, 0-9, "_", ".", "/", "-".`)
  }
}

/** @throws {ConfigurationError} when there is no description, by which models choose */
export function checkDescription(description: unknown, where: string): void {
  if (typeof description !== 'string' || description.trim() === '') {
    throw new ConfigurationError(`The description of ${where} is missing: models choose by it.`)
  }
}

const taskSupports: ReadonlySet<unknown> = new Set<TaskSupport>(['optional', 'required', 'forbidden'])
const taskCreations: ReadonlySet<unknown> = new Set<TaskCreation>(['at-once', 'by-handler'])

const toolKeys: Readonly<Record<keyof ToolDescription | 'auth' | 'run', true>> = {
  title: true,
  description: true,
  input: true,
  output: true,
  auth: true,
  run: true,
  task: true,
  taskCreation: true,
  ui: true,
  annotations: true,
  icons: true,
  _meta: true,
}

const noArguments = { type: 'object', properties: {} } as const

/**
 * Checks a tool's definition.
 *
 * @param declared what decorators add to `auth`
 * @throws {ConfigurationError} when name, description, schemas, `auth` or handler cannot work, or a key is unknown
 */
export function defineTool(
  name: string,
  definition: ToolDescription & { readonly auth?: AnyAuth | undefined; readonly run: unknown },
  declared?: AccessRule,
): Tool {
  const where = `tool "${name}"`
  checkName(name, where)
  checkKeys(definition, toolKeys, offerName({ kind: 'tool', name }))
  const { auth, run, ...description } = definition
  checkDescription(description.description, where)
  const view = description.ui === undefined ? undefined : toolView(description.ui, name, where)
  if (view && description._meta && 'ui' in description._meta) {
    throw new ConfigurationError(`The view of ${where} is named twice: remove ui from _meta.`)
  }
  const input = description.input && compileSchema(description.input, 'input', where)
  const output = description.output && compileSchema(description.output, 'output', where)
  const { title, annotations, icons, _meta, task = 'forbidden', taskCreation = 'at-once' } = description
  if (!taskSupports.has(task)) {
    throw new ConfigurationError(`task of ${where} must be "optional", "required" or "forbidden".`)
  }
  if (!taskCreations.has(taskCreation)) {
    throw new ConfigurationError(`taskCreation of ${where} must be "at-once" or "by-handler".`)
  }
  if (task === 'forbidden' && description.taskCreation !== undefined) {
    throw new ConfigurationError(`${where} has taskCreation and is never a task: set task as well.`)
  }
  return {
    kind: 'tool',
    name,
    description,
    listing: {
      name,
      ...(title !== undefined && { title }),
      description: description.description,
      inputSchema: (input?.json ?? noArguments) as ToolListing['inputSchema'],
      ...(output && { outputSchema: output.json as NonNullable<ToolListing['outputSchema']> }),
      ...(annotations && { annotations }),
      ...(icons && { icons: [...icons] }),
      ...((_meta || view) && { _meta: { ..._meta, ...(view && { ui: toolUiMeta(view) }) } }),
    },
    input,
    output,
    task,
    taskCreation,
    view,
    paramHeaders: input !== undefined && declaresParamHeaders(input.json, where),
    rule: ruleOf(where, auth, run, declared),
    run: run as Tool['run'],
    enabled: true,
  }
}
