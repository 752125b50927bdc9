/** How one provider writes scopes. */
export interface ScopeRules {
  /** Between the scopes of a reply. */
  replySeparator: RegExp
  /** Long form the provider answers with → short form we keep. */
  aliases: Readonly<Record<string, string>>
}

/** One form for each scope, no duplicates, order kept. */
export function normaliseScopes(scopes: readonly string[], rules: ScopeRules): string[] {
  return [...new Set(scopes.filter(Boolean).map(scope => rules.aliases[scope] ?? scope))]
}

/** The `scope` member of a token reply as a list, in our form. */
export function parseScope(scope: string, rules: ScopeRules): string[] {
  return normaliseScopes(scope.split(rules.replySeparator), rules)
}

/** Whether everything needed was granted. `offline_access` asks for a refresh token and is not a right to check. */
export function coversScopes(
  granted: readonly string[],
  needed: readonly string[],
  rules: ScopeRules,
): boolean {
  const held = new Set(normaliseScopes(granted, rules))
  return normaliseScopes(needed, rules).every(scope => scope === 'offline_access' || held.has(scope))
}
