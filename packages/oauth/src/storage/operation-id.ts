import { sha256 } from '../protocol/hash.ts'
import type { RandomBytes } from '../runtime.ts'

/** Names one step of the store, so that the same step sent twice has the effect of one (R164). */
export const operationId = (random: RandomBytes): string => Buffer.from(random(16)).toString('base64url')

/** Names an operation by what it does to what, so that an id used for two steps does not join them. */
export function operationKey(name: string, { id, operationId }: { id: string; operationId: string }): string {
  return sha256(JSON.stringify([name, id, operationId]))
}
