import type { Clock, RandomBytes } from '../runtime.ts'
import { operationId } from '../storage/operation-id.ts'
import type { Task } from '../storage/records.ts'
import type { ConnectionKey } from '../storage/store.ts'
import { revocationSealContext } from './seal-context.ts'
import type { Sealer } from './sealer.ts'

/** How long a revocation is tried, in seconds: three days. */
const revocationSeconds = 3 * 86_400

/** How long whoever deletes a connection may take for it, in seconds: longer than a step of the store. */
const deletionSeconds = 5

/**
 * Tokens of a connection that ends here, to be revoked at their provider. `plaintext` is what the connection sealed,
 * `accessEndsAt` its own, in seconds since the epoch.
 */
export function revocationTask(
  { tenant, sealer, clock, random }: { tenant: string; sealer: Sealer; clock: Clock; random: RandomBytes },
  {
    userId,
    provider,
    account,
    accessEndsAt,
    plaintext,
  }: ConnectionKey & { accessEndsAt: number; plaintext: string },
): Task {
  const now = clock()
  const name = { kind: 'revocation' as const, provider, id: operationId(random), userId, account }
  return {
    version: 1,
    ...name,
    writtenBy: operationId(random),
    dueAt: now + deletionSeconds,
    expiresAt: now + revocationSeconds,
    attempts: 0,
    sealed: sealer.seal(plaintext, revocationSealContext(tenant, name)),
    accessEndsAt,
  }
}
