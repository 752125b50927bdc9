import { LRUCache } from 'lru-cache'
import type { SigningKeys } from '../keys/signing-keys.ts'
import { principalOf } from '../protocol/subject.ts'
import type { Clock } from '../runtime.ts'
import type { Store } from '../storage/store.ts'
import type { AccessToken, AccessTokenVerifier } from './access-token.ts'
import type { OpaqueAccessTokens } from './opaque-access-token.ts'
import { type AccessTokenClaims, invalidToken, readAccessToken } from './read-access-token.ts'
import { createRevokedGrants } from './revoked-grants.ts'

export interface AccessTokenVerifierOptions {
  issuer: string
  signingKeys: Pick<SigningKeys, 'find' | 'isPublished'>
  store: Pick<Store, 'listRevocations' | 'watchRevocations'>
  clock: Clock
  opaqueTokens: Pick<OpaqueAccessTokens, 'open'>
  /** How many verified tokens are remembered. Default 10000. */
  cacheSize?: number
  /** How long the revocation feed may be silent before no token is trusted, in seconds. Default 60. */
  feedSilenceSeconds?: number
}

/** A token, and the key whose signature made it one. */
interface VerifiedToken {
  kid: string
  token: AccessToken
  /** Thumbprint of the key it is bound to; undefined for a bearer token. */
  jkt: string | undefined
}

/**
 * Creates the verifier of the access tokens this issuer signed for its resources.
 *
 * @see RFC 9068 §4, RFC 8725
 */
export function createAccessTokenVerifier({
  issuer,
  signingKeys,
  store,
  clock,
  opaqueTokens,
  cacheSize = 10_000,
  feedSilenceSeconds = 60,
}: AccessTokenVerifierOptions): AccessTokenVerifier {
  const verified = new LRUCache<string, VerifiedToken>({ max: cacheSize })
  const parts = { issuer, signingKeys, opaqueTokens, clock }
  const revocations = createRevokedGrants(store, clock, feedSilenceSeconds)

  return {
    async verifyAccessToken(value, resource, jkt) {
      if (!revocations.isCurrent()) await revocations.catchUp()
      let known = verified.get(value)
      // R174: what a key had signed ends with the key, also what was verified before.
      if (known && !signingKeys.isPublished(known.kid)) {
        verified.delete(value)
        known = undefined
      }
      if (!known) {
        const { kid, claims } = await readAccessToken(parts, value, [resource])
        known = { kid, token: toAccessToken(claims), jkt: claims.cnf?.jkt }
        verified.set(value, known)
      }
      const { token } = known
      if (token.expiresAt <= clock()) {
        verified.delete(value)
        throw invalidToken('expired', 'cached')
      }
      if (revocations.has(token.grantId)) {
        verified.delete(value)
        throw invalidToken('revoked', 'family revoked')
      }
      // R153: verified for one resource is not verified for another.
      if (token.resource !== resource) throw invalidToken('not valid', 'other resource')
      // R159: stolen, a bound token must be worth nothing as a bearer token.
      if (known.jkt !== jkt) throw invalidToken('not valid', 'bound to another key, or to none')
      return token
    },
    close: () => revocations.close(),
  }
}

function toAccessToken(claims: AccessTokenClaims): AccessToken {
  const token = {
    clientId: claims.client_id,
    subject: claims.sub,
    scopes: Object.freeze(claims.scope.split(' ').filter(scope => scope !== '')),
    resource: claims.aud,
    issuer: claims.iss,
    grantId: claims.sid,
    jti: claims.jti,
    expiresAt: claims.exp,
    authTime: claims.auth_time,
  }
  return Object.freeze(
    principalOf(claims.sub) === 'client'
      ? { ...token, principal: 'client', userId: undefined }
      : { ...token, principal: 'user', userId: claims.sub },
  )
}
