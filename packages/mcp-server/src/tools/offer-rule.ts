import { ConfigurationError } from '@sallyport/oauth'
import { type AccessRule, type AnyAuth, accessRule, mergeRules } from './access-rule.ts'

/** Handlers wrapped by `requiresAuth`, and what they ask. Not a property: nothing can copy or delete it. */
const handlerRules = new WeakMap<object, AccessRule>()

/** Ties what `requiresAuth` was told to the handler it made. */
export const declareOnHandler = (handler: object, rule: AccessRule): void => {
  handlerRules.set(handler, rule)
}

/** What `requiresAuth` was told about this handler, or undefined. */
export const ruleOfHandler = (handler: object): AccessRule | undefined => handlerRules.get(handler)

/** What `requiresAuth` makes without a handler. As a handler it would protect nothing. */
const decorators = new WeakSet<object>()

/** Remembers that a function is a decorator, and no handler. */
export const markAsDecorator = (decorator: object): void => {
  decorators.add(decorator)
}

/**
 * What an offer asks of its caller, wherever it was declared.
 *
 * @param declared what decorators add to `auth`
 * @throws {ConfigurationError} when `auth` or the handler cannot work
 */
export function ruleOf(
  where: string,
  auth: AnyAuth | undefined,
  run: unknown,
  declared: AccessRule | undefined,
): AccessRule | undefined {
  if (typeof run !== 'function') throw new ConfigurationError(`The run of ${where} must be a function.`)
  if (decorators.has(run)) {
    throw new ConfigurationError(
      `The run of ${where} is requiresAuth without a handler: write requiresAuth({ … }, handler).`,
    )
  }
  const own = auth === undefined ? undefined : accessRule(auth, where)
  const rule = mergeRules(mergeRules(own, ruleOfHandler(run)), declared)
  // The demand to sign in again would tell everybody that it exists.
  if (rule?.hidden && rule.maxAgeSeconds !== undefined) {
    throw new ConfigurationError(`auth of ${where} cannot have both hidden and maxAgeSeconds: choose one.`)
  }
  return rule
}
