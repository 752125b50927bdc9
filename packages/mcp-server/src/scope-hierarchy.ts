import { ConfigurationError } from '@sallyport/oauth'

/** Whether granted scopes cover all that are needed. */
export type HasScopes = (granted: readonly string[], needed: readonly string[]) => boolean

/** Each scope stands for itself alone. */
export const hasScopes: HasScopes = (granted, needed) => needed.every(scope => granted.includes(scope))

/**
 * Creates the check for scopes of which some include others.
 *
 * @param implies scope → scopes it includes, and what those include, such as `{ 'notes:write': ['notes:read'] }`
 * @throws {ConfigurationError} when it is not an object of lists
 */
export function createHasScopes(implies: Readonly<Record<string, readonly string[]>> = {}): HasScopes {
  const direct = Object.entries(implies)
  if (direct.length === 0) return hasScopes
  /** Scope → the others that include it, however far away. */
  const wider = new Map<string, Set<string>>()
  const reach = (scope: string, from: string) => {
    const included = implies[scope]
    if (included === undefined) return
    if (!Array.isArray(included)) {
      throw new ConfigurationError(`scopeHierarchy must name a list of scopes for "${scope}".`)
    }
    for (const each of included as readonly string[]) {
      const known = wider.get(each) ?? new Set()
      // Seen before: a circle ends here.
      if (known.has(from)) continue
      wider.set(each, known.add(from))
      reach(each, from)
    }
  }
  for (const [scope] of direct) reach(scope, scope)
  return (granted, needed) =>
    needed.every(scope => granted.includes(scope) || granted.some(each => wider.get(scope)?.has(each)))
}
