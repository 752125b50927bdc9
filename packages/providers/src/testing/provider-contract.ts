import { afterEach, beforeEach, describe, vi } from 'vitest'
import { type ContractUpstream, startContractUpstream } from './contract-upstream.ts'
import { describeConnecting } from './provider-contract/connecting-contract.ts'
import { createContractSteps } from './provider-contract/contract-steps.ts'
import { describeRefreshing } from './provider-contract/refreshing-contract.ts'
import { describeRefusals } from './provider-contract/refusal-contract.ts'
import { describeRevocation } from './provider-contract/revocation-contract.ts'
import type { ProviderUnderTest } from './provider-fixtures.ts'

/**
 * What every provider keeps to, against an upstream that replays its vendor, faults included. Needs vitest.
 */
export function describeProviderContract(underTest: ProviderUnderTest): void {
  const { name, fixtures } = underTest

  describe(`provider contract: ${name}`, () => {
    let at: ContractUpstream
    beforeEach(async () => {
      at = await startContractUpstream(underTest)
    })
    afterEach(async () => {
      vi.restoreAllMocks()
      await at.close()
    })

    const contract = createContractSteps(fixtures, () => at)
    describeConnecting(contract)
    describeRefreshing(contract)
    describeRefusals(contract)
    describeRevocation(contract)
  })
}
