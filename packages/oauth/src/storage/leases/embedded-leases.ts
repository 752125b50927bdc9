import type { EmbeddedSteps } from '../embedded-steps.ts'
import { recordSchemas } from '../records.ts'
import { abandonedLeaseSeconds, type ClaimOutcome, type LeaseKey, type LeaseStore } from './lease-store.ts'

export function createEmbeddedLeases({ keeper, write, read, find }: EmbeddedSteps): LeaseStore {
  return {
    async claimLease({ owner, endsAt, takesOver, now, ...key }) {
      const claim = (): ClaimOutcome | undefined => {
        const before = find('lease', recordSchemas.lease, leaseId(key), now)
        if (before?.owner === owner) return { outcome: 'claimed', isTakenOver: before.isTakenOver }
        if (before && before.endsAt > now) return { outcome: 'held', endsAt: before.endsAt }
        return before && !takesOver ? { outcome: 'abandoned' } : undefined
      }
      // Who waits for a lease asks often, and must not keep the others from writing.
      const refused = await read(claim)
      if (refused) return refused
      return write(() => {
        const known = claim()
        if (known) return known
        const isTakenOver = keeper.find('lease', leaseId(key), now) !== undefined
        const value = JSON.stringify({ owner, endsAt, isTakenOver })
        keeper.put('lease', leaseId(key), { value, expiresAt: endsAt + abandonedLeaseSeconds }, now)
        return { outcome: 'claimed', isTakenOver }
      })
    },
    releaseLease: ({ owner, now, ...key }) =>
      write(() => {
        const before = find('lease', recordSchemas.lease, leaseId(key), now)
        if (before?.owner === owner) keeper.delete('lease', leaseId(key))
      }),
  }
}

function leaseId({ kind, id }: LeaseKey): string {
  return JSON.stringify([kind, id])
}
