import { timingSafeEqual } from 'node:crypto'
import { sha256 } from '../protocol/hash.ts'

/** Shortest secret a deployer may configure, in characters. */
const minSecretLength = 16

/** client_id and client_secret are visible ASCII (RFC 6749 appendix A). */
export const isVisible = (value: string): boolean => /^[\x20-\x7e]+$/.test(value)

/** What is wrong with a configured secret, to follow the name of its owner in a sentence; undefined when nothing is. */
export function secretProblem(secret: string, name: string): string | undefined {
  return secret.length < minSecretLength || !isVisible(secret)
    ? `needs a ${name} of at least ${minSecretLength} printable ASCII characters`
    : undefined
}

/** Keeps the hash of a secret; compares hashes, equally long whatever is presented, in constant time (R87). */
export function secretComparison(secret: string): (presented: string) => boolean {
  const expected = Buffer.from(sha256(secret))
  return presented => timingSafeEqual(Buffer.from(sha256(presented)), expected)
}

/** The comparison that is made for somebody who does not exist or has no secret, and never succeeds (R87). */
export const compareWithNobody = (presented: string): false => {
  timingSafeEqual(Buffer.from(sha256(presented)), nobodysSecret)
  return false
}
const nobodysSecret = Buffer.from(sha256(''))
