import type { ConnectionPlanner } from '@sallyport/oauth'
import { isOpen, type Offer } from './offers.ts'
import { hasScopes as eachForItself, type HasScopes } from './scope-hierarchy.ts'
import { mergeProviders } from './tools/access-rule.ts'
import type { NamedProvider } from './tools/call-context.ts'

/** The scope every server with sign-in has, asked for by offers without scopes of their own. */
export const baseScope = 'mcp'

/**
 * The minimum a client is told to ask for, and gets when it names no scope; more comes by step-up at the call. It is the
 * base scope and what everything asks for: without, each call would be refused, and for good with clients that cannot ask
 * for more (SDK 1.x). Whether an offer is enabled now does not count, because sign-ins last.
 */
export function minimumScopes(offers: readonly Offer[]): readonly string[] {
  const [first = [], ...others] = offers
    .filter(({ rule }) => !rule?.hidden)
    .map(offer => (isOpen(offer) ? [] : (offer.rule?.scopes ?? [])))
  const common = first.filter(scope => others.every(scopes => scopes.includes(scope)))
  return [baseScope, ...common]
}

/** The scopes that a client may need, each once; those of what is hidden are for who knows of it. */
export const offeredScopes = (offers: readonly Offer[]): string[] => [
  ...new Set(offers.flatMap(({ rule }) => (rule && !rule.hidden ? rule.scopes : []))),
]

const baseScopeWords = "Use this server's tools as you"

/**
 * Every scope a client may ask for → what it allows, in words for the consent page: the base scope, those of the
 * offers, those the developer describes, and those of the hierarchy.
 *
 * @param words what scopes allow; a scope without words is shown by its name
 */
export function scopeWords(
  offers: readonly Offer[],
  words: Readonly<Record<string, string>>,
  hierarchy: Readonly<Record<string, readonly string[]>> = {},
): Record<string, string> {
  const needed = [
    ...offers.flatMap(({ rule }) => rule?.scopes ?? []),
    ...Object.entries(hierarchy).flatMap(([scope, included]) => [scope, ...included]),
  ]
  return {
    [baseScope]: baseScopeWords,
    ...Object.fromEntries(needed.map(scope => [scope, scope])),
    ...words,
  }
}

/**
 * Which connections a sign-in must bring: what the offers that the granted scopes open need, each provider once.
 *
 * @param signInId provider users sign in with; it is asked first, being visited anyway
 * @param atSignIn whether the others are connected on the same trip; otherwise when a call first needs them
 */
export function createConnectionPlanner(
  offers: readonly Offer[],
  providers: ReadonlyMap<string, NamedProvider>,
  signInId?: string,
  hasScopes: HasScopes = eachForItself,
  atSignIn = true,
): ConnectionPlanner {
  return {
    plan(scopes) {
      const reachable = offers.flatMap(({ rule }) =>
        rule && hasScopes(scopes, rule.scopes) ? [rule.providers] : [],
      )
      const needs = [...mergeProviders(reachable)].flatMap(([id, providerScopes]) => {
        const provider = providers.get(id)
        const { login } = provider?.connected ?? {}
        return login ? [{ login, scopes: providerScopes, isLater: !atSignIn && id !== signInId }] : []
      })
      return {
        needs: needs.sort((a, b) => Number(b.login.id === signInId) - Number(a.login.id === signInId)),
      }
    },
    async isConnected(userId, providerId, scopes, account) {
      return (await providers.get(providerId)?.connected.isConnected(userId, scopes, account)) ?? false
    },
    async accountLabels(userId, providerId) {
      const accounts = (await providers.get(providerId)?.connected.accounts(userId)) ?? []
      return new Map(accounts.flatMap(({ id, label }) => (label === undefined ? [] : [[id, label]])))
    },
  }
}
