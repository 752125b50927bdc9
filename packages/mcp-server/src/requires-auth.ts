import { ConfigurationError } from '@sallyport/oauth'
import { type AnyAuth, accessRule, mergeRules } from './tools/access-rule.ts'
import type { CallContext, Caller, ContextOf } from './tools/call-context.ts'
import { declareOnMethod } from './tools/declarations.ts'
import { declareOnHandler, markAsDecorator, ruleOfHandler } from './tools/offer-rule.ts'

/**
 * Protects a tool. As a decorator beside `@tool`, in either order:
 *
 *     @tool({ description: 'Adds a note', input: z.object({ text: z.string() }) })
 *     @requiresAuth({ scopes: ['notes:write'] })
 *     addNote({ text }: { text: string }, { caller }: CallContext<Caller>) { … }
 *
 * or around a handler: `run: requiresAuth({ scopes: ['notes:write'] }, async ({ text }, { caller }) => …)`.
 * Declared more than once, all of it is required. On a server without sign-in it is an error at start.
 *
 * @throws {ConfigurationError} when a scope is not a scope-token (RFC 6749 §3.3), or the handler is no function
 */
export function requiresAuth<const A extends AnyAuth>(
  auth: A,
): <This extends object>(
  method: (this: This, input: never, context: ContextOf<A>) => unknown,
  context: ClassMethodDecoratorContext<This>,
) => void
export function requiresAuth<const A extends AnyAuth, Input, Result>(
  auth: A,
  handler: (input: Input, context: ContextOf<A>) => Result,
): (input: Input, context: CallContext<Caller | undefined>) => Result
export function requiresAuth(auth: AnyAuth, handler?: (input: unknown, context: never) => unknown): unknown {
  if (handler === undefined) {
    const rule = accessRule(auth, '@requiresAuth')
    const decorator = (_method: unknown, context: ClassMethodDecoratorContext<object>) =>
      declareOnMethod('requiresAuth', context, declaration => ({
        ...declaration,
        rule: mergeRules(declaration.rule, rule),
      }))
    markAsDecorator(decorator)
    return decorator
  }
  if (typeof handler !== 'function') {
    throw new ConfigurationError(
      "requiresAuth takes what it asks for, and then the handler: requiresAuth({ scopes: ['notes:write'] }, handler).",
    )
  }
  const rule = mergeRules(accessRule(auth, 'requiresAuth'), ruleOfHandler(handler))
  const protectedHandler = (input: unknown, context: never) => handler(input, context)
  if (rule) declareOnHandler(protectedHandler, rule)
  return protectedHandler
}
