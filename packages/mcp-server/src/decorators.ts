import { ConfigurationError } from '@sallyport/oauth'
import { definePrompt, type Prompt } from './prompts/define-prompt.ts'
import type { ArgumentCompleters, PromptDescription, PromptResult } from './prompts/prompt-description.ts'
import { defineResource, type Resource } from './resources/define-resource.ts'
import type { ResourceDescription, TemplateDescription } from './resources/resource-description.ts'
import type { VariablesOf } from './resources/resource-template.ts'
import type { InputOf, Schema } from './schemas/schema.ts'
import type { AnyCallContext } from './tools/call-context.ts'
import { declarationsOf, declareOnMethod, type MethodDeclaration } from './tools/declarations.ts'
import { defineTool, type Tool } from './tools/define-tool.ts'
import type { ResultOf, ToolDescription } from './tools/tool-description.ts'

type MethodDecorator<Input, Result> = <This extends object>(
  method: (this: This, input: Input, context: never) => Result | Promise<Result>,
  context: ClassMethodDecoratorContext<This>,
) => void

/**
 * Makes a method a tool; the instance is then given to `server.register`. Protect it with `@requiresAuth`,
 * before or after. Standard decorators only.
 *
 * @param description `name` defaults to the method's name
 */
export function tool<
  Input extends Schema | undefined = undefined,
  Output extends Schema | undefined = undefined,
>(
  description: ToolDescription<Input, Output> & { readonly name?: string },
): MethodDecorator<InputOf<Input>, ResultOf<Output>> {
  return (_method, context) =>
    declareOnMethod('tool', context, declaration => ({ ...declaration, tool: description }))
}

/**
 * Makes a method a resource, or the resources of a template, as `tool` makes it a tool.
 *
 * @param uri of one resource, or a template of URIs (RFC 6570), such as `notes://{id}`
 */
export function resource<const Uri extends string>(
  uri: Uri,
  description: ResourceDescription & TemplateDescription<Uri, AnyCallContext> = {},
): MethodDecorator<VariablesOf<Uri>, unknown> {
  return (_method, context) =>
    declareOnMethod('resource', context, declaration => ({
      ...declaration,
      resource: { uri, ...description } as NonNullable<MethodDeclaration['resource']>,
    }))
}

/**
 * Makes a method a prompt, as `tool` makes it a tool.
 *
 * @param description `name` defaults to the method's name
 */
export function prompt<Input extends Schema | undefined = undefined>(
  description: PromptDescription<Input> & {
    readonly name?: string
    readonly complete?: ArgumentCompleters<Input, AnyCallContext>
  },
): MethodDecorator<InputOf<Input>, PromptResult> {
  return (_method, context) =>
    declareOnMethod('prompt', context, declaration => ({
      ...declaration,
      prompt: description as NonNullable<MethodDeclaration['prompt']>,
    }))
}

/**
 * What an object offers whose class uses `@tool`, `@resource` and `@prompt`.
 *
 * @throws {ConfigurationError} when it is nothing, or a method is protected but not offered
 */
export function offersOf(instance: object): (Tool | Resource | Prompt)[] {
  const className = instance.constructor?.name || 'object'
  const methods = [...declarationsOf(instance)]
  if (methods.length === 0) {
    throw new ConfigurationError(
      `${className} has no method with @tool, @resource or @prompt: register an instance of a class that has.`,
    )
  }
  return methods.flatMap(([method, { tool, resource, prompt, rule }]) => {
    if (!tool && !resource && !prompt) {
      throw new ConfigurationError(
        `${className}.${method} has @requiresAuth but not @tool, @resource or @prompt: add one, or remove it.`,
      )
    }
    // Looked up at the call, so that what runs is what the instance has by that name.
    const run = (input: unknown, context: unknown) =>
      (instance as Record<string, (input: unknown, context: unknown) => unknown>)[method]?.(input, context)
    const offers: (Tool | Resource | Prompt)[] = []
    if (tool) {
      const { name = method, ...description } = tool
      offers.push(defineTool(name, { ...description, run }, rule))
    }
    if (resource) {
      const { uri, ...description } = resource
      offers.push(defineResource(uri, { ...description, run }, rule))
    }
    if (prompt) {
      const { name = method, ...description } = prompt
      offers.push(definePrompt(name, { ...description, run }, rule))
    }
    return offers
  })
}
