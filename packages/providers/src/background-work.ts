import type { ConnectedProvider } from '@sallyport/mcp-server'
import type { DueRefreshes } from './due-refreshes.ts'
import type { ExpiryNotices } from './expiry-notices.ts'
import type { TokenSource } from './get-fresh-token.ts'
import type { RevocationOutbox } from './revocation-outbox.ts'

/** Joins what a provider does without a caller: one that fails keeps none of the others from being done. */
export function createBackgroundWork(parts: {
  refreshes: DueRefreshes
  notices: ExpiryNotices
  outbox: RevocationOutbox
  tokens: Pick<TokenSource, 'settle'>
}): NonNullable<ConnectedProvider['runDue']> {
  return async signal => {
    const results = await Promise.allSettled([
      parts.refreshes.run(signal),
      parts.notices.run(signal),
      parts.outbox.run(signal),
      parts.tokens.settle(signal),
    ])
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }
}
