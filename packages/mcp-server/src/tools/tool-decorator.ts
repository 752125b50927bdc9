import { ConfigurationError } from '@sallyport/oauth'
import { declarationsOf, declareOnMethod } from './declarations.ts'
import { defineTool, type Tool } from './define-tool.ts'
import type { InputOf, ResultOf, ToolDescription, ToolSchema } from './tool-description.ts'

/**
 * Makes a method a tool; the instance is then given to `server.register`. Protect it with `@requiresAuth`,
 * before or after. Standard decorators only.
 *
 * @param description `name` defaults to the method's name
 */
export function tool<
  Input extends ToolSchema | undefined = undefined,
  Output extends ToolSchema | undefined = undefined,
>(
  description: ToolDescription<Input, Output> & { readonly name?: string },
): <This extends object>(
  method: (this: This, input: InputOf<Input>, context: never) => ResultOf<Output> | Promise<ResultOf<Output>>,
  context: ClassMethodDecoratorContext<This>,
) => void {
  return (_method, context) =>
    declareOnMethod('tool', context, declaration => ({ ...declaration, tool: description }))
}

/**
 * The tools of an object whose class uses `@tool`.
 *
 * @throws {ConfigurationError} when it has none, or a method is protected but not a tool
 */
export function toolsOf(instance: object): Tool[] {
  const className = instance.constructor?.name || 'object'
  const methods = [...declarationsOf(instance)]
  if (methods.length === 0) {
    throw new ConfigurationError(
      `${className} has no method with @tool: register an instance of a class with tools.`,
    )
  }
  return methods.map(([method, declaration]) => {
    if (!declaration.tool) {
      throw new ConfigurationError(
        `${className}.${method} has @requiresAuth but not @tool: add @tool, or remove it.`,
      )
    }
    const { name = method, ...description } = declaration.tool
    // Looked up at the call, so that what runs is what the instance has by that name.
    const run = (input: unknown, context: unknown) =>
      (instance as Record<string, (input: unknown, context: unknown) => unknown>)[method]?.(input, context)
    return defineTool(name, { ...description, run }, declaration.rule)
  })
}
