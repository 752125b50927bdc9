import type { Client } from '../clients/client.ts'
import type { Context } from '../context.ts'
import type { RandomBytes } from '../runtime.ts'
import type { Grant } from '../storage/records.ts'
import type { IssuedAccessToken } from '../tokens/issue.ts'
import { mintAuthorizationCode, newGrantId } from '../tokens/token-value.ts'

/**
 * A token family that no authorization code opened. Its one access token can be revoked, listed and introspected like
 * any other because it has a family too. `putFamilyWithoutCode` sets when both end.
 */
export function familyWithoutCode(
  random: RandomBytes,
  client: Pick<Client, 'clientId' | 'clientName'>,
  granted: Pick<Grant, 'userId' | 'resource' | 'scopes' | 'authTime' | 'amr' | 'acr'>,
  now: number,
): Grant {
  const id = newGrantId(random)
  return {
    version: 1,
    id,
    clientId: client.clientId,
    ...(client.clientName !== undefined && { clientName: client.clientName }),
    ...granted,
    // There was no redirect, no challenge and no code: the hash is that of a code nobody has seen, spent at birth.
    redirectUri: 'none',
    createdAt: now,
    endsAt: 0,
    accessEndsAt: 0,
    code: {
      hash: mintAuthorizationCode(random, id).hash,
      challenge: 'none',
      expiresAt: now,
      failures: 0,
      redeemedAt: now,
    },
  }
}

/** Stores the family before its token is handed out: one that cannot be revoked must not exist. Both end together. */
export async function putFamilyWithoutCode(
  { store }: Pick<Context, 'store'>,
  family: Grant,
  { expiresAt }: Pick<IssuedAccessToken, 'expiresAt'>,
  now: number,
): Promise<void> {
  await store.putGrant({ record: { ...family, endsAt: expiresAt, accessEndsAt: expiresAt }, now })
}
