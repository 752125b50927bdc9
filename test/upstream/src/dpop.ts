import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { calculateJwkThumbprint, decodeProtectedHeader, EmbeddedJWK, type JWK, jwtVerify } from 'jose'

/** A proof that came with a token request, and what became of it. */
export interface SeenProof {
  grantType: string
  /** Thumbprint of its key; undefined when it is none. */
  jkt: string | undefined
  jti: unknown
  nonce: unknown
  outcome: 'accepted' | 'challenged' | 'refused'
}

/** Google's side of DPoP: refresh tokens are bound to the key that was proven to get them, access tokens are not. */
export interface ProofGate {
  readonly seen: readonly SeenProof[]
  /** Judges a token request; a refusal, or undefined when it may go on. */
  check(
    request: IncomingMessage,
    form: URLSearchParams | undefined,
  ): Promise<{ status: number; headers: Record<string, string>; body: object } | undefined>
  /** Binds what a request with this proof got. */
  bind(refreshToken: string, proof: string): Promise<void>
  /** The nonce for the next request of a grant type. */
  nonceFor(grantType: string): string
}

/** One for a token endpoint. Nonces of codes are not those of refreshes, and each is good once. */
export function createProofGate(tokenEndpoint: string): ProofGate {
  const seen: SeenProof[] = []
  const bound = new Map<string, string>()
  const nonces = new Set<string>()
  const nonceFor = (grantType: string) => {
    const nonce = `${grantType}.${randomBytes(12).toString('base64url')}`
    nonces.add(nonce)
    return nonce
  }
  const refusal = (error: string, grantType: string) => ({
    status: 400,
    headers: { 'dpop-nonce': nonceFor(grantType) },
    body: { error },
  })

  return {
    seen,
    nonceFor,
    async bind(refreshToken, proof) {
      const { jwk } = decodeProtectedHeader(proof)
      bound.set(refreshToken, await calculateJwkThumbprint(jwk as JWK))
    },
    async check(request, form) {
      const value = request.headers.dpop
      const grantType = form?.get('grant_type') ?? ''
      const needed = bound.get(form?.get('refresh_token') ?? '')
      if (value === undefined)
        return needed === undefined ? undefined : refusal('invalid_dpop_proof', grantType)
      const proof = await readProof(String(value), tokenEndpoint)
      const { jkt, jti, nonce } = proof ?? {}
      const note = (outcome: SeenProof['outcome']) => seen.push({ grantType, jkt, jti, nonce, outcome })
      const code = form?.get('code') ?? ''
      const isForCode =
        grantType !== 'authorization_code' || jti === createHash('sha256').update(code).digest('base64url')
      const isRepeated = seen.some(each => each.jti === jti && each.outcome === 'accepted')
      if (!proof || !isForCode || isRepeated || (needed !== undefined && needed !== jkt)) {
        note('refused')
        return refusal('invalid_dpop_proof', grantType)
      }
      const isForGrant = typeof nonce === 'string' && nonce.startsWith(`${grantType}.`)
      if (!isForGrant || !nonces.delete(nonce)) {
        note('challenged')
        return refusal('use_dpop_nonce', grantType)
      }
      note('accepted')
      return undefined
    },
  }
}

/** A good proof for this endpoint (RFC 9449 §4.3), whatever its nonce. */
async function readProof(value: string, url: string) {
  try {
    const { payload, protectedHeader } = await jwtVerify(value, EmbeddedJWK, {
      algorithms: ['ES256'],
      typ: 'dpop+jwt',
    })
    const { jwk } = protectedHeader
    if (payload.htm !== 'POST' || payload.htu !== url || payload.iat === undefined || !jwk) return undefined
    return { jkt: await calculateJwkThumbprint(jwk), jti: payload.jti, nonce: payload.nonce }
  } catch {
    return undefined
  }
}
