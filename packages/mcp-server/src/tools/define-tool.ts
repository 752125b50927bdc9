import { ConfigurationError } from '@sallyport/oauth'
import { type AccessRule, type AnyAuth, accessRule, mergeRules } from './access-rule.ts'
import type { AnyCallContext } from './call-context.ts'
import { ruleOfHandler } from './declarations.ts'
import type { ToolDescription, ToolSchema } from './tool-description.ts'

/** A tool, checked and ready to be called. */
export interface Tool {
  readonly name: string
  readonly description: ToolDescription
  /** Undefined: a public tool. */
  readonly rule: AccessRule | undefined
  readonly run: (input: unknown, context: AnyCallContext) => unknown
}

/** Names every client accepts. */
const toolName = /^[A-Za-z0-9_./-]{1,64}$/

const isSchema = (schema: ToolSchema | undefined): boolean =>
  schema === undefined ||
  (typeof schema?.['~standard']?.validate === 'function' &&
    typeof schema['~standard'].jsonSchema?.input === 'function')

/**
 * Checks a tool's definition.
 *
 * @param declared what decorators add to `auth`
 * @throws {ConfigurationError} when name, description, schemas, `auth` or handler cannot work
 */
export function defineTool(
  name: string,
  definition: ToolDescription & { readonly auth?: AnyAuth | undefined; readonly run: unknown },
  declared?: AccessRule,
): Tool {
  const { auth, run, ...description } = definition
  const where = `tool "${name}"`
  if (!toolName.test(name)) {
    throw new ConfigurationError(`The name of ${where} must be 1 to 64 of A-Z, a-z, 0-9, "_", ".", "/", "-".`)
  }
  if (typeof description.description !== 'string' || description.description.trim() === '') {
    throw new ConfigurationError(`The description of ${where} is missing: models choose tools by it.`)
  }
  for (const key of ['input', 'output'] as const) {
    if (!isSchema(description[key])) {
      throw new ConfigurationError(
        `The ${key} of ${where} must be a schema that can be shown as JSON Schema, such as z.object({ … }) of zod 4.`,
      )
    }
  }
  if (typeof run !== 'function') throw new ConfigurationError(`The run of ${where} must be a function.`)
  const own = auth === undefined ? undefined : accessRule(auth, where)
  return {
    name,
    description,
    rule: mergeRules(mergeRules(own, ruleOfHandler(run)), declared),
    run: run as Tool['run'],
  }
}
