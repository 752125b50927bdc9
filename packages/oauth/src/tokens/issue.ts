import type { SigningKeys } from '../keys/signing-keys.ts'
import { principalOf } from '../protocol/subject.ts'
import type { Clock, RandomBytes } from '../runtime.ts'
import type { Grant } from '../storage/records.ts'
import type { OpaqueAccessTokens } from './opaque-access-token.ts'

export interface IssuedAccessToken {
  value: string
  /** `DPoP` when it is bound to a key. */
  tokenType: 'Bearer' | 'DPoP'
  /** `exp`, seconds since the epoch. */
  expiresAt: number
}

/** Makes access tokens (RFC 9068). */
export interface TokenIssuer {
  /**
   * `scopes` is what this token carries: the grant's scopes or fewer. `endsAt` caps `exp`; 0 = no cap.
   *
   * @param token.lifeSeconds life, unless the session ends before
   * @param token.dpopJkt thumbprint of the key it is bound to; undefined: whoever has it may use it
   */
  issueAccessToken(token: {
    grant: Pick<Grant, 'id' | 'userId' | 'clientId' | 'resource' | 'authTime' | 'amr' | 'acr' | 'endsAt'>
    scopes: readonly string[]
    lifeSeconds: number
    dpopJkt?: string | undefined
  }): Promise<IssuedAccessToken>
}

export interface TokenIssuerOptions {
  issuer: string
  signingKeys: Pick<SigningKeys, 'active'>
  clock: Clock
  random: RandomBytes
  /** Seals what is issued. Default: whoever holds a token can read it. */
  opaque?: Pick<OpaqueAccessTokens, 'seal'> | undefined
}

/**
 * Creates the issuer of JWT access tokens, in the clear or sealed. Issuing throws what the signing keys throw.
 *
 * @see RFC 9068 §2.2
 */
export function createTokenIssuer({
  issuer,
  signingKeys,
  clock,
  random,
  opaque,
}: TokenIssuerOptions): TokenIssuer {
  return {
    async issueAccessToken({ grant, scopes, lifeSeconds, dpopJkt }) {
      const key = await signingKeys.active()
      const now = clock()
      const end = now + lifeSeconds
      const expiresAt = grant.endsAt === 0 ? end : Math.min(end, grant.endsAt)
      const claims = {
        iss: issuer,
        sub: grant.userId,
        // One resource, as a string: a token with many audiences could be passed on among them (R153).
        aud: grant.resource,
        client_id: grant.clientId,
        scope: scopes.join(' '),
        iat: now,
        exp: expiresAt,
        jti: Buffer.from(random(20)).toString('base64url'),
        sid: grant.id,
        // Of a client by itself nobody was asked to sign in.
        ...(principalOf(grant.userId) === 'user' &&
          grant.authTime !== undefined && { auth_time: grant.authTime }),
        ...(grant.amr.length > 0 && { amr: grant.amr }),
        ...(grant.acr !== undefined && { acr: grant.acr }),
        // RFC 9449 §6.1
        ...(dpopJkt !== undefined && { cnf: { jkt: dpopJkt } }),
      }
      const jwt = await key.signJwt(claims, { typ: 'at+jwt' })
      return {
        value: opaque ? opaque.seal(jwt) : jwt,
        tokenType: dpopJkt === undefined ? 'Bearer' : 'DPoP',
        expiresAt,
      }
    },
  }
}
