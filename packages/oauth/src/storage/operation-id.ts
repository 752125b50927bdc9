import type { RandomBytes } from '../runtime.ts'

/** Names one step of the store, so that the same step sent twice has the effect of one (R164). */
export const operationId = (random: RandomBytes): string => Buffer.from(random(16)).toString('base64url')
