import { ConfigurationError } from '@sallyport/oauth'
import type { AnyPromptDefinition } from '../prompts/define-prompt.ts'
import type { AnyResourceDefinition } from '../resources/define-resource.ts'
import type { AccessRule } from './access-rule.ts'
import type { ToolDescription } from './tool-description.ts'

/** What decorators said about one method. */
export interface MethodDeclaration {
  readonly tool?: ToolDescription & { readonly name?: string }
  readonly resource?: Omit<AnyResourceDefinition, 'run' | 'auth'> & { readonly uri: string }
  readonly prompt?: Omit<AnyPromptDefinition, 'run' | 'auth'> & { readonly name?: string }
  readonly rule?: AccessRule | undefined
}

/**
 * Declarations by instance and method name. Not by function: another decorator may replace the function between
 * ours, and a protection tied to the replaced one would be lost without a word.
 */
const declarations = new WeakMap<object, Map<string, MethodDeclaration>>()

/** What decorators declared on the methods of this instance, by method name. */
export const declarationsOf = (instance: object): ReadonlyMap<string, MethodDeclaration> =>
  declarations.get(instance) ?? new Map<string, MethodDeclaration>()

/**
 * Adds to what is declared about a method, for each instance of its class.
 *
 * @throws {ConfigurationError} when it is not a public method, or the compiler uses the old decorators
 */
export function declareOnMethod<This extends object>(
  decorator: string,
  context: ClassMethodDecoratorContext<This>,
  change: (declaration: MethodDeclaration) => MethodDeclaration,
): void {
  if (context?.kind !== 'method' || context.private) {
    throw new ConfigurationError(
      `@${decorator} goes on a public method; if it does, turn "experimentalDecorators" off in tsconfig.json.`,
    )
  }
  const name = String(context.name)
  context.addInitializer(function () {
    const methods = declarations.get(this) ?? new Map<string, MethodDeclaration>()
    declarations.set(this, methods.set(name, change(methods.get(name) ?? {})))
  })
}
