/** How one provider writes scopes. */
export interface ScopeRules {
  /** Between the scopes of a reply. */
  replySeparator: RegExp
  /** Long form the provider answers with → short form we keep. */
  aliases: Readonly<Record<string, string>>
  /** Start of long forms that the provider may answer with in place of the rest alone. Default: none. */
  prefix?: string
  /** Scope → narrower ones it includes, which the provider then leaves out of its reply. Default: none. */
  includes?: Readonly<Record<string, readonly string[]>>
  /** Whether `Mail.Read` and `mail.read` are one scope. Default false. */
  ignoresCase?: boolean
}

/** One form for each scope, no duplicates, order kept. */
export function normaliseScopes(scopes: readonly string[], rules: ScopeRules): string[] {
  const { aliases, prefix } = rules
  const short = (scope: string) =>
    prefix !== undefined && scope.startsWith(prefix) ? scope.slice(prefix.length) : scope
  return [...new Set(scopes.filter(Boolean).map(scope => aliases[scope] ?? short(scope)))]
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
  const key = (scope: string) => (rules.ignoresCase ? scope.toLowerCase() : scope)
  const held = new Set<string>()
  const hold = (scope: string) => {
    if (held.has(key(scope))) return
    held.add(key(scope))
    for (const narrower of rules.includes?.[scope] ?? []) hold(narrower)
  }
  for (const scope of normaliseScopes(granted, rules)) hold(scope)
  return normaliseScopes(needed, rules).every(scope => scope === 'offline_access' || held.has(key(scope)))
}
