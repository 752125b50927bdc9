import { type CryptoKey, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { z } from 'zod'
import { sha256 } from '../protocol/hash.ts'
import type { Clock, RandomBytes } from '../runtime.ts'
import { operationId } from '../storage/operation-id.ts'
import type { SingleUseStore } from '../storage/store.ts'
import type { AssertionAlgorithm } from './assertion-algorithms.ts'

/** Rules that hold for every signed assertion, whoever makes it and whatever it is for (RFC 7523 §3). */

/** Longest assertion that is looked at, in characters. The client_id of a registration is twice in one of its client. */
const maxLength = 16_384
/** R116, R124: how far two clocks may be apart, in seconds. */
export const skewSeconds = 60

/** A claim that is text. */
export const textClaim: z.ZodString = z.string().min(1).max(4_096)

/** R117, R122: one audience. A second one is a server that could replay the assertion here, or ours there. */
export const audienceClaim: z.ZodType<string> = z
  .union([textClaim, z.tuple([textClaim])])
  .transform(audience => (typeof audience === 'string' ? audience : audience[0]))

/** Header and claims as the schemas want them; undefined when they are not so. Proves nothing. */
export function decodeAssertion<Header, Claims>(
  value: string,
  schemas: { header: z.ZodType<Header>; claims: z.ZodType<Claims> },
): { header: Header; claims: Claims } | undefined {
  if (value.length > maxLength) return undefined
  const header = schemas.header.safeParse(attempt(() => decodeProtectedHeader(value)))
  const claims = schemas.claims.safeParse(attempt(() => decodeJwt(value)))
  return header.success && claims.success ? { header: header.data, claims: claims.data } : undefined
}

/**
 * Whether it can be used now: not ended, not from the future, and not longer than it may be. Times in seconds.
 *
 * @param claims.iat undefined: it does not say
 */
export function isTimely(
  { exp, iat, nbf }: { exp: number; iat?: number | undefined; nbf?: number | undefined },
  { now, maxLifeSeconds }: { now: number; maxLifeSeconds: number },
): boolean {
  return (
    exp > now - skewSeconds &&
    exp <= now + maxLifeSeconds + skewSeconds &&
    Math.max(iat ?? 0, nbf ?? 0) <= now + skewSeconds &&
    (iat === undefined || exp - iat <= maxLifeSeconds + skewSeconds)
  )
}

/**
 * Whether one of the keys made it. Only keys that were known before count: `jwk`, `jku`, `x5u` and `x5c` of the header
 * are never looked at (R116).
 */
export async function isSignedByOneOf(
  keys: readonly (CryptoKey | Uint8Array)[],
  assertion: {
    value: string
    algorithm: AssertionAlgorithm
    issuer: string
    subject: string
    audience: string
    now: number
  },
): Promise<boolean> {
  const { value, algorithm, issuer, subject, audience, now } = assertion
  for (const key of keys) {
    const isGenuine = await jwtVerify(value, key, {
      algorithms: [algorithm],
      issuer,
      subject,
      audience,
      clockTolerance: skewSeconds,
      currentDate: new Date(now * 1000),
    }).then(
      () => true,
      () => false,
    )
    if (isGenuine) return true
  }
  return false
}

/**
 * Claims an assertion; false when it had been claimed before.
 *
 * @param id what makes it the only one, the decoded `jti` among it: one assertion has many spellings in base64url
 *   (R118)
 * @param expiresAt its `exp`, in seconds since the epoch
 * @throws {StoreUnavailableError}
 */
export async function claimAssertion(
  { store, clock, random }: { store: SingleUseStore; clock: Clock; random: RandomBytes },
  id: readonly string[],
  expiresAt: number,
): Promise<boolean> {
  const outcome = await store.claimSingleUse({
    kind: 'jti',
    idHash: sha256(JSON.stringify(id)),
    expiresAt: Math.ceil(expiresAt) + skewSeconds + 1,
    operationId: operationId(random),
    now: clock(),
  })
  return outcome === 'claimed'
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
