import type { Prompt as PromptListing } from '@modelcontextprotocol/server'
import { type Completers, completersOf } from '../completers.ts'
import { checkKeys } from '../known-keys.ts'
import { type Offer, offerName } from '../offers.ts'
import { type CompiledSchema, compileSchema } from '../schemas/schema.ts'
import type { AccessRule, AnyAuth } from '../tools/access-rule.ts'
import type { AnyCallContext } from '../tools/call-context.ts'
import { checkDescription, checkName } from '../tools/define-tool.ts'
import { ruleOf } from '../tools/offer-rule.ts'
import type { PromptDescription } from './prompt-description.ts'

/** A prompt, checked and ready to be used. */
export interface Prompt extends Offer {
  readonly kind: 'prompt'
  /** What `prompts/list` says of it. */
  readonly listing: PromptListing
  readonly input: CompiledSchema | undefined
  readonly complete: Completers
  readonly run: (input: unknown, context: AnyCallContext) => unknown
}

/** A prompt as it is declared. */
export type AnyPromptDefinition = PromptDescription & {
  readonly auth?: AnyAuth | undefined
  readonly complete?: Readonly<Record<string, unknown>> | undefined
  readonly run: unknown
}

const promptKeys: Readonly<Record<keyof PromptDescription | 'auth' | 'complete' | 'run', true>> = {
  title: true,
  description: true,
  input: true,
  auth: true,
  complete: true,
  run: true,
  icons: true,
  _meta: true,
}

/**
 * Checks a prompt's definition.
 *
 * @param declared what decorators add to `auth`
 * @throws {ConfigurationError} when name, description, arguments, `auth` or handler cannot work, or a key is unknown
 */
export function definePrompt(name: string, definition: AnyPromptDefinition, declared?: AccessRule): Prompt {
  const where = `prompt "${name}"`
  checkName(name, where)
  checkKeys(definition, promptKeys, offerName({ kind: 'prompt', name }))
  const { auth, run, complete = {}, title, description, input: schema, icons, _meta } = definition
  checkDescription(description, where)
  const input = schema && compileSchema(schema, 'input', where)
  const properties = (input?.json.properties ?? {}) as Record<string, { description?: string }>
  const required = (input?.json.required ?? []) as readonly string[]
  const listed = Object.entries(properties).map(([argument, property]) => ({
    name: argument,
    ...(typeof property.description === 'string' && { description: property.description }),
    required: required.includes(argument),
  }))
  return {
    kind: 'prompt',
    name,
    listing: {
      name,
      ...(title !== undefined && { title }),
      description,
      ...(listed.length > 0 && { arguments: listed }),
      ...(icons && { icons: [...icons] }),
      ...(_meta && { _meta: { ..._meta } }),
    },
    input,
    complete: completersOf(complete, Object.keys(properties), where),
    rule: ruleOf(where, auth, run, declared),
    run: run as Prompt['run'],
    enabled: true,
  }
}
