import type { SecretRing } from '../keys/secret-ring.ts'
import type { Clock } from '../runtime.ts'

/** How long a nonce is good, in seconds. */
const nonceSeconds = 300

const noncePattern = /^(\d{1,12})\.([\w-]{43})$/

/** The nonces that proofs must carry, where they must (RFC 9449 §8, §9). */
export interface DpopNonces {
  /** What the next proof is to carry. */
  next(): string
  /** Whether we gave it out, not long ago. */
  isCurrent(nonce: string | undefined): boolean
}

/**
 * Creates nonces: the time, and a MAC of it. Nothing is stored, all processes take each other's, and nobody can make
 * one ahead of time (RFC 9449 §11.2). One nonce is good for many proofs; each proof is still good once.
 */
export function createDpopNonces({
  issuer,
  secrets,
  clock,
}: {
  issuer: string
  secrets: SecretRing
  clock: Clock
}): DpopNonces {
  const message = (at: number) => JSON.stringify([issuer, at])
  return {
    next() {
      const at = clock()
      return `${at}.${secrets.mac('dpop-nonce', message(at)).toString('base64url')}`
    },
    isCurrent(nonce = '') {
      const [, time, tag] = noncePattern.exec(nonce) ?? []
      if (time === undefined || tag === undefined || Number(time) + nonceSeconds <= clock()) return false
      return secrets.verifyMac('dpop-nonce', message(Number(time)), Buffer.from(tag, 'base64url'))
    },
  }
}
