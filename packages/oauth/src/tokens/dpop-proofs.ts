import { LRUCache } from 'lru-cache'
import { OAuthError } from '../errors.ts'
import type { EventSink } from '../events.ts'
import { checkDpopProof, type DpopProblem, dpopAlgorithms } from '../protocol/dpop-proof.ts'
import { sha256 } from '../protocol/hash.ts'
import type { Clock, RandomBytes } from '../runtime.ts'
import { operationId } from '../storage/operation-id.ts'
import type { SingleUseStore } from '../storage/store.ts'
import type { AccessToken, AccessTokenVerifier } from './access-token.ts'
import type { DpopNonces } from './dpop-nonces.ts'

/** Proofs at resources that a process remembers. When there are more, those seen longest ago are given up. */
const maxRemembered = 100_000

/** A proof that fits its request. */
export interface DpopProof {
  /** SHA-256 thumbprint of the key (RFC 7638), base64url. */
  jkt: string
  jti: string
  /** From when on it is too old, seconds since the epoch. */
  endsAt: number
}

/** What of a request a proof is read from. */
type ProvingRequest = Pick<Request, 'method' | 'headers'>

/** Proof of possession (DPoP, RFC 9449): what a request proves, and that it proves it once. */
export interface DpopProofs {
  /** JWS algorithms a proof may have. */
  readonly algorithms: readonly string[]
  /**
   * The proof of a request to an endpoint that issues tokens; undefined when it brings none.
   *
   * @param url of the endpoint, as configured: a request's own host is whatever its sender says (R3)
   * @throws {OAuthError} `invalid_dpop_proof`, `use_dpop_nonce`
   */
  read(request: ProvingRequest, url: string): Promise<DpopProof | undefined>
  /**
   * Uses a proof up, in the store: it gets tokens once, whichever process it comes to.
   *
   * @throws {OAuthError} `invalid_dpop_proof` when it was used before
   * @throws {StoreUnavailableError}
   */
  claim(proof: DpopProof): Promise<void>
  /**
   * Verifies an access token that came with the scheme DPoP: the proof beside it, the token, that it is bound to the
   * key of the proof, and that this process has not seen the proof before. No I/O but the verifier's own.
   *
   * @param value the token
   * @param target.url what was requested, as configured. Default: the resource
   * @throws {OAuthError} `invalid_dpop_proof`, `use_dpop_nonce`, `invalid_token` (RFC 9449 §7.1)
   * @throws {StoreUnavailableError} when revocations have not been heard of for too long
   */
  verifyAccessToken(
    request: ProvingRequest,
    value: string,
    target: { resource: string; url?: string },
  ): Promise<AccessToken>
  /** The header that brings the next nonce; none where proofs need no nonce. */
  nonceHeaders(): Record<string, string>
}

const descriptions: Readonly<Record<DpopProblem, string>> = {
  malformed: 'The DPoP proof is malformed, or there is more than one.',
  signature: 'The signature of the DPoP proof does not verify.',
  request: 'The DPoP proof is for another method or URL.',
  time: 'The DPoP proof is too old, or a clock is wrong.',
  access_token: 'The DPoP proof is for another access token.',
}

/** Creates the check of proofs; `nonces` when every proof must carry one. */
export function createDpopProofs(options: {
  verifier: Pick<AccessTokenVerifier, 'verifyAccessToken'>
  nonces: DpopNonces | undefined
  store: Pick<SingleUseStore, 'claimSingleUse'>
  clock: Clock
  random: RandomBytes
  emit: EventSink
  /** How many proofs are remembered. Default 100000. */
  memorySize?: number
}): DpopProofs {
  const { verifier, nonces, store, clock, random, emit, memorySize = maxRemembered } = options
  const seen = new LRUCache<string, number>({ max: memorySize })

  const nonceHeaders = (): Record<string, string> => (nonces ? { 'DPoP-Nonce': nonces.next() } : {})
  const check = async (
    method: string,
    value: string,
    url: string,
    accessToken?: string,
  ): Promise<DpopProof> => {
    const request = { method, url, now: clock(), ...(accessToken !== undefined && { accessToken }) }
    const checked = await checkDpopProof(value, request)
    if (checked.outcome === 'invalid') {
      throw new OAuthError('invalid_dpop_proof', descriptions[checked.problem], { cause: checked.problem })
    }
    const { jkt, jti, nonce, endsAt } = checked
    // Not before the rest: who cannot make a proof needs no nonce.
    if (nonces && !nonces.isCurrent(nonce)) {
      const description = 'The DPoP proof must carry the nonce of the DPoP-Nonce header.'
      throw new OAuthError('use_dpop_nonce', description, { headers: nonceHeaders() })
    }
    return { jkt, jti, endsAt }
  }
  const replayed = ({ jkt }: DpopProof): OAuthError => {
    emit({ type: 'dpop_proof_replayed', jkt })
    return new OAuthError('invalid_dpop_proof', 'The DPoP proof was used before.')
  }
  // A key of its own cannot spend another's. The decoded claims: one proof has many spellings in base64url.
  const idHashOf = ({ jkt, jti }: DpopProof) => sha256(JSON.stringify(['dpop-proof', jkt, jti]))

  return {
    algorithms: dpopAlgorithms,
    async read(request, url) {
      const value = request.headers.get('dpop')
      return value === null ? undefined : check(request.method, value, url)
    },
    async claim(proof) {
      const outcome = await store.claimSingleUse({
        kind: 'jti',
        idHash: idHashOf(proof),
        expiresAt: proof.endsAt,
        operationId: operationId(random),
        now: clock(),
      })
      if (outcome === 'used') throw replayed(proof)
    },
    async verifyAccessToken(request, value, { resource, url = resource }) {
      const header = request.headers.get('dpop')
      if (header === null) throw new OAuthError('invalid_dpop_proof', 'The DPoP proof is missing.')
      const proof = await check(request.method, header, url, value)
      const token = await verifier.verifyAccessToken(value, resource, proof.jkt)
      // Last: what was refused has used nothing up (R91). No await between the look and the mark.
      const id = idHashOf(proof)
      const endsAt = seen.peek(id)
      if (endsAt !== undefined && endsAt > clock()) throw replayed(proof)
      seen.set(id, proof.endsAt)
      return token
    },
    nonceHeaders,
  }
}
