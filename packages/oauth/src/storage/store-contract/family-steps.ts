import { expect } from 'vitest'
import type { Grant } from '../records.ts'
import type { Store } from '../store.ts'
import { aGrant, now, redeem } from './samples.ts'

/** Steps on the families of a store, the one that `family` names unless told otherwise. */
export interface FamilySteps {
  /** Stores a grant and redeems its code. */
  openFamily(over?: Partial<Grant>, redeemed?: ReturnType<typeof redeem>): Promise<void>
  grant(at?: number): Promise<Grant | undefined>
  isRevoked(): Promise<boolean>
}

/** Makes those steps for the store of whichever test runs. */
export function familySteps(getStore: () => Store): FamilySteps {
  const grant = (at = now) => getStore().findGrant({ id: 'family', now: at })
  return {
    async openFamily(over = {}, redeemed = redeem()) {
      await getStore().putGrant({ record: aGrant(over), now })
      expect(await getStore().redeemCode(redeemed)).toBe('redeemed')
    },
    grant,
    isRevoked: async () => (await grant())?.revokedAt !== undefined,
  }
}
