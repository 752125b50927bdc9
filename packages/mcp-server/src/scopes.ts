import type { ConnectionPlanner } from '@sallyport/oauth'
import { mergeProviders } from './tools/access-rule.ts'
import type { NamedProvider } from './tools/call-context.ts'
import type { Tool } from './tools/define-tool.ts'

/**
 * The scope every server with sign-in has: asked for when a client names none, and by tools without scopes of
 * their own. It is the minimum a client is told to ask for; more comes by step-up at the call.
 */
export const baseScope = 'mcp'

const baseScopeWords = "Use this server's tools as you"

/**
 * Every scope a client may ask for → what it allows, in words for the consent page: the base scope, those of the
 * tools, and those the developer describes.
 *
 * @param words what scopes allow; a scope without words is shown by its name
 */
export function scopeWords(
  tools: readonly Tool[],
  words: Readonly<Record<string, string>>,
): Record<string, string> {
  const needed = tools.flatMap(tool => tool.rule?.scopes ?? [])
  return {
    [baseScope]: baseScopeWords,
    ...Object.fromEntries(needed.map(scope => [scope, scope])),
    ...words,
  }
}

/**
 * Which connections a sign-in must bring: what the tools that the granted scopes open need, each provider once.
 *
 * @param signInId provider users sign in with; it is asked first, being visited anyway
 */
export function createConnectionPlanner(
  tools: readonly Tool[],
  providers: ReadonlyMap<string, NamedProvider>,
  signInId?: string,
): ConnectionPlanner {
  return {
    plan(scopes) {
      const reachable = tools.flatMap(({ rule }) =>
        rule?.scopes.every(scope => scopes.includes(scope)) ? [rule.providers] : [],
      )
      const needs = [...mergeProviders(reachable)].flatMap(([id, providerScopes]) => {
        const provider = providers.get(id)
        return provider ? [{ login: provider.connected.login, scopes: providerScopes }] : []
      })
      return {
        needs: needs.sort((a, b) => Number(b.login.id === signInId) - Number(a.login.id === signInId)),
      }
    },
    async isConnected(userId, providerId, scopes) {
      return (await providers.get(providerId)?.connected.isConnected(userId, scopes)) ?? false
    },
  }
}
