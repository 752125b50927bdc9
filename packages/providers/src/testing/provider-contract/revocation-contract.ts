import { describe, expect } from 'vitest'
import { type ContractSteps, testIf } from './contract-steps.ts'

/** How a grant is taken back. */
export function describeRevocation(contract: ContractSteps): void {
  const { fixtures, tokenRequests } = contract
  const { refreshed, revocation } = fixtures

  describe('taking a grant back', () => {
    const tokens = (accessEndsAt = 0) => ({
      accessToken: fixtures.accessToken,
      ...(fixtures.refreshToken !== undefined && { refreshToken: fixtures.refreshToken }),
      accessEndsAt,
    })
    const revoke = (given = tokens()) => contract.at.connected.revoke!(given)

    testIf(!revocation)('is not pretended where the vendor has no way to', async () => {
      expect(await revoke()).toEqual({ outcome: 'unsupported' })
      expect(contract.at.upstream.seen('/revoke')).toEqual([])
    })

    testIf(revocation)('is one request as the vendor wants it', async () => {
      contract.at.upstream.script('/revoke', revocation!.done)
      expect(await revoke()).toEqual({ outcome: 'revoked' })
      const [request, ...more] = contract.at.upstream.seen('/revoke')
      expect(more).toEqual([])
      revocation!.request(request!, tokens())
    })

    testIf(revocation).each(revocation?.gone ?? [])('is done when nothing was left: %j', async reply => {
      contract.at.upstream.script('/revoke', reply)
      expect(await revoke()).toEqual({ outcome: 'revoked' })
    })

    testIf(revocation)('is tried later with the same tokens when the vendor is in trouble', async () => {
      for (const status of [500, 503, 429]) {
        contract.at.upstream.script('/revoke', { status, headers: { 'retry-after': '30' } })
        expect(await revoke()).toEqual({ outcome: 'later', tokens: tokens(), afterSeconds: 30 })
      }
      contract.at.upstream.script('/revoke', { body: 'x'.repeat(300_000) })
      expect(await revoke()).toEqual({ outcome: 'later', tokens: tokens() })
    })

    testIf(revocation)(
      'is given up when our credentials are wrong, and never follows a redirect',
      async () => {
        contract.at.upstream.script('/revoke', { status: 403, body: { error: 'unauthorized_client' } })
        expect(await revoke()).toEqual({ outcome: 'refused' })
        contract.at.upstream.script('/revoke', { status: 307, headers: { location: '/elsewhere' } })
        expect(await revoke()).toEqual({ outcome: 'refused' })
        expect(contract.at.upstream.seen('/elsewhere')).toEqual([])
      },
    )

    testIf(revocation?.needsLiveToken && refreshed)(
      'takes a live token: one that has ended is refreshed first, and not refreshed again',
      async () => {
        contract.at.upstream.script('/token', refreshed!.reply)
        contract.at.upstream.script('/revoke', { status: 503 }, revocation!.done)
        const result = await revoke(tokens(contract.at.clock() - 1))
        expect(result).toMatchObject({
          outcome: 'later',
          tokens: { accessToken: refreshed!.accessToken, refreshToken: refreshed!.refreshToken },
        })
        if (result.outcome !== 'later') return
        expect(await revoke({ refreshToken: '', ...result.tokens })).toEqual({ outcome: 'revoked' })
        expect(tokenRequests('refresh_token')).toHaveLength(1)
      },
    )
  })
}
