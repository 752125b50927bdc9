import type { Connection } from '../records.ts'

/** The list of connections to one account at a provider. */
export const accountList = (accountHash: string): string => accountHash

/** The list of connections that hold one refresh token. */
export const tokenList = (tokenHash: string): string => `token ${tokenHash}`

/** The lists that a connection is found by, besides those of its user. */
export function connectionLists({
  accountHash,
  tokenHashes = [],
}: Pick<Connection, 'accountHash' | 'tokenHashes'>): string[] {
  return [...(accountHash === undefined ? [] : [accountList(accountHash)]), ...tokenHashes.map(tokenList)]
}
