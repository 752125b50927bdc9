import type { ConsentGiven } from './interaction.ts'
import type { UpstreamKind } from './kinds.ts'
import type { MemoryStorage } from './memory-adapter.ts'

/** What users have agreed to, of one upstream. */
export interface Consents {
  add(consent: ConsentGiven): void
  find(grantId: string | undefined): ConsentGiven | undefined
  /** Whether the account had granted nothing before. */
  isFirst(grantId: string): boolean
  /** What an account has granted before, where the provider adds that to a new grant. */
  earlierScopes(sub: string): readonly string[]
}

export function createConsents(kind: UpstreamKind, storage: MemoryStorage): Consents {
  const consents = new Map<string, ConsentGiven>()
  const firstConsents = new Set<string>()
  const grantsOf = (sub: string) => storage.list('Grant', grant => grant.accountId === sub)

  return {
    add(consent) {
      consents.set(consent.grantId, consent)
      if (grantsOf(consent.sub).length === 1) firstConsents.add(consent.grantId)
    },
    find: (grantId = '') => consents.get(grantId),
    isFirst: grantId => firstConsents.has(grantId),
    earlierScopes: sub =>
      kind === 'google'
        ? grantsOf(sub).flatMap(
            ({ openid }) => (openid as { scope?: string } | undefined)?.scope?.split(' ') ?? [],
          )
        : [],
  }
}
