import type { Connection, SigningKey, Task } from '../storage/records.ts'
import type { SealContext } from './sealer.ts'

/** What the sealed part of a signing key is bound to: it opens under no other `kid` and in no other tenant. */
export function signingKeySealContext(tenant: string, { kid }: Pick<SigningKey, 'kid'>): SealContext {
  return { tenant, kind: 'signing-key', id: kid }
}

/** What the sealed part of a connection is bound to: it opens nowhere else, for no other user (R179). */
export function connectionSealContext(
  tenant: string,
  { userId, provider, account }: Pick<Connection, 'userId' | 'provider' | 'account'>,
): SealContext {
  return { tenant, kind: 'connection', id: JSON.stringify([1, userId, provider, account]) }
}

/** What the sealed tokens of a revocation are bound to: they open as no connection, and for no other user. */
export function revocationSealContext(
  tenant: string,
  { userId, provider, account, id }: Pick<Task, 'userId' | 'provider' | 'account' | 'id'>,
): SealContext {
  return { tenant, kind: 'revocation', id: JSON.stringify([1, userId, provider, account, id]) }
}
