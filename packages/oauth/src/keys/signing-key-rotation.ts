import { ConfigurationError } from '../errors.ts'
import type { SigningKey } from '../storage/records.ts'
import type { SigningAlgorithm } from './signing-algorithm.ts'

/** When signing keys come and go, all in seconds. */
export interface SigningKeyRotation {
  /** How long a key is published before it signs, so that every cache has it by then. Default 86400 (a day). */
  publishAheadSeconds: number
  /** How long a key signs. Default 7776000 (90 days). */
  rotateAfterSeconds: number
  /**
   * Longest life of what the keys sign. Default 86400, the longest that can be configured: while lifetimes are
   * being changed, processes with the old one and with the new one share the keys.
   */
  tokenSeconds: number
  /** How long a key stays published after its last token ended: caches, and clocks that differ. Default 300. */
  cacheSeconds: number
}

export const defaultSigningKeyRotation: SigningKeyRotation = {
  publishAheadSeconds: 86_400,
  rotateAfterSeconds: 7_776_000,
  tokenSeconds: 86_400,
  cacheSeconds: 300,
}

/** Least seconds a key is published ahead: the JWKS document is cached for so long. */
const minimumPublishAheadSeconds = 300

/**
 * Puts defaults under what is configured.
 *
 * @throws {ConfigurationError} when a key would sign before caches have it, or before the one before it has begun
 */
export function resolveRotation(configured: Partial<SigningKeyRotation> = {}): SigningKeyRotation {
  const rotation = { ...defaultSigningKeyRotation, ...configured }
  const { publishAheadSeconds, rotateAfterSeconds } = rotation
  for (const [name, seconds] of Object.entries(rotation)) {
    if (!Number.isSafeInteger(seconds) || seconds < 0) {
      throw new ConfigurationError(`The signing key rotation's ${name} must be a whole number of seconds.`)
    }
  }
  if (publishAheadSeconds < minimumPublishAheadSeconds) {
    throw new ConfigurationError(
      `The signing key rotation's publishAheadSeconds must be ${minimumPublishAheadSeconds} or more: ` +
        'caches keep the published keys for so long.',
    )
  }
  if (rotateAfterSeconds < 2 * publishAheadSeconds) {
    throw new ConfigurationError(
      "The signing key rotation's rotateAfterSeconds must be at least twice its publishAheadSeconds.",
    )
  }
  return rotation
}

/** What is to be done about the keys now. */
export interface RotationPlan {
  /** The key to publish, and from when it signs. */
  next?: { activeAt: number }
  /** Keys that sign no more, and when they leave the JWKS. */
  retire: readonly { kid: string; retiresAt: number }[]
}

/** The situation a plan is made for. */
export interface RotationState {
  /** Every key that has not retired, in the order in which they were stored. */
  records: readonly SigningKey[]
  /** What this process signs with. */
  algorithm: SigningAlgorithm
  now: number
  rotation: SigningKeyRotation
}

/**
 * Decides what is due. Every process on a store comes to the same plan, give or take what it has not read yet, so
 * it does not matter which of them carries it out.
 */
export function planRotation({ records, algorithm, now, rotation }: RotationState): RotationPlan {
  const { publishAheadSeconds, rotateAfterSeconds, tokenSeconds, cacheSeconds } = rotation
  const overlapSeconds = tokenSeconds + cacheSeconds
  const newest = records.findLast(({ alg, retiresAt }) => alg === algorithm && retiresAt === 0)
  const nextActiveAt = newest && newest.activeAt + rotateAfterSeconds
  const isNextDue = nextActiveAt !== undefined && now >= nextActiveAt - publishAheadSeconds

  const retire = records.flatMap((record, i) => {
    if (record.retiresAt !== 0) return []
    const later = records.slice(i + 1).filter(({ alg }) => alg === record.alg)
    const successor = later.find(({ activeAt }) => activeAt <= now)
    // From then on nobody signs with it (R174). The same for whoever works it out, and whenever.
    if (successor) return [{ kid: record.kid, retiresAt: successor.activeAt + overlapSeconds }]
    // A key of another algorithm may still be used by processes that are configured so: they would have made its
    // successor by now.
    const isAbandoned =
      record.alg !== algorithm &&
      later.length === 0 &&
      now >= record.activeAt + rotateAfterSeconds + publishAheadSeconds
    return isAbandoned ? [{ kid: record.kid, retiresAt: now + publishAheadSeconds + overlapSeconds }] : []
  })
  return {
    // When nobody looked in time, it is still published ahead, and the old key signs for longer.
    ...(isNextDue && { next: { activeAt: Math.max(nextActiveAt, now + publishAheadSeconds) } }),
    retire,
  }
}

/**
 * The key that signs: the newest one whose time has come and that is published for as long as what it signs lives.
 * One whose time has not come is better than none: the clock of the process that made it may be ahead of ours.
 */
export function findSigningKid({ records, algorithm, now, rotation }: RotationState): string | undefined {
  const usable = records.filter(
    ({ alg, retiresAt }) =>
      alg === algorithm && (retiresAt === 0 || retiresAt >= now + rotation.tokenSeconds),
  )
  return (usable.findLast(({ activeAt }) => activeAt <= now) ?? usable[0])?.kid
}
