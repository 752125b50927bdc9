/** Asks for an id_token (OpenID Connect Core §3.1.2.1). */
export const openidScope = 'openid'

/** `scope` is a list of scope-tokens with one space between them (RFC 6749 §3.3). */
const scopePattern = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/
const maxLength = 4096
const maxScopes = 100

/** Scopes of a `scope` value, each once, in their order; undefined when the syntax is wrong or it is too long (R55). */
export function parseScope(value: string): string[] | undefined {
  if (value.length > maxLength || !scopePattern.test(value)) return undefined
  const scopes = [...new Set(value.split(' '))]
  return scopes.length <= maxScopes ? scopes : undefined
}

/** The `scope` value of some scopes. */
export function formatScope(scopes: readonly string[]): string {
  return scopes.join(' ')
}
