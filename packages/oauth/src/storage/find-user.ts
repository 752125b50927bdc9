import { sha256 } from '../protocol/hash.ts'
import type { RandomBytes } from '../runtime.ts'
import type { UserStore } from './store.ts'

/** Seconds after which a user who never came back is forgotten: 400 days, renewed with each sign-in. */
const userSeconds = 400 * 86_400

/** Issuer and subject; between them the tenant, of an issuer that has several (R128). */
export type IdentityParts =
  | readonly [issuer: string, subject: string]
  | readonly [issuer: string, tenant: string, subject: string]

/** How the store knows an identity, and an account at a provider: a SHA-256 in base64url. */
export function hashIdentity(identity: IdentityParts): string {
  return sha256(JSON.stringify(identity))
}

/**
 * The id of the user behind an identity: the same for ever, and random when they come for the first time. Nothing else
 * makes two sign-ins one user, least of all an e-mail address (R76).
 *
 * @throws {StoreUnavailableError}
 */
export function findUser(
  { store, random }: { store: UserStore; random: RandomBytes },
  identity: IdentityParts,
  now: number,
): Promise<string> {
  return store.findOrPutUser({
    identityHash: hashIdentity(identity),
    userId: Buffer.from(random(18)).toString('base64url'),
    expiresAt: now + userSeconds,
    now,
  })
}
