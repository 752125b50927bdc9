import { scripts } from '../lua.generated.ts'
import type { RedisSteps } from '../redis-steps.ts'
import { abandonedLeaseSeconds, type ClaimOutcome, type LeaseStore } from './lease-store.ts'

export function createRedisLeases({ keys, run, put }: RedisSteps): LeaseStore {
  return {
    async claimLease({ kind, id, owner, endsAt, takesOver, now }) {
      const [outcome, detail] = await put(
        'lease',
        scripts.claimLease,
        [keys.lease(kind, id)],
        [now, owner, endsAt, takesOver ? 1 : 0, abandonedLeaseSeconds],
      )
      if (outcome === 'claimed') return { outcome, isTakenOver: detail === 1 }
      return { outcome, ...(outcome === 'held' && { endsAt: Number(detail) }) } as ClaimOutcome
    },
    async releaseLease({ kind, id, owner, now }) {
      await run('lease', scripts.releaseLease, [keys.lease(kind, id)], [now, owner])
    },
  }
}
