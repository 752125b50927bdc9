import { createSealer } from '../keys/sealer.ts'
import type { SecretRing } from '../keys/secret-ring.ts'
import type { RandomBytes } from '../runtime.ts'

/** What an access token looks like to whoever holds it: a readable JWT (RFC 9068), or nothing at all. */
export type AccessTokenFormat = 'jwt' | 'opaque'

/** Makes access tokens that only servers with the secret ring can read, and reads them. */
export interface OpaqueAccessTokens {
  /** `sp_at_` and the JWT, sealed by the newest secret of the ring. */
  seal(jwt: string): string
  /**
   * The JWT in an opaque access token; a value without the prefix comes back as it is. Undefined when it was changed,
   * is another issuer's or tenant's, or its secret has left the ring. Nothing is proven of the JWT.
   */
  open(value: string): string | undefined
}

const prefix = 'sp_at_'

/**
 * Creates the opaque form of one issuer's access tokens. There is a signed JWT inside, so that a key that is retired
 * ends them too, and the secret ring alone is not enough to forge one; neither are two equal IVs, which become
 * conceivable beyond 2^32 tokens of one secret. Nothing is stored: who has the ring verifies without I/O, everybody
 * else has to introspect (RFC 7662).
 */
export function createOpaqueAccessTokens(options: {
  issuer: string
  tenant: string
  secrets: SecretRing
  random: RandomBytes
}): OpaqueAccessTokens {
  const sealer = createSealer(options.secrets, options.random, 'access-token')
  const place = { tenant: options.tenant, kind: 'access-token', id: options.issuer }
  return {
    seal: jwt => prefix + sealer.seal(jwt, place),
    open: value =>
      value.startsWith(prefix) ? sealer.open(value.slice(prefix.length), place)?.plaintext : value,
  }
}
