import { describe, expect } from 'vitest'
import { user } from '../harness.ts'
import { sentBy } from '../sent-by.ts'
import { type ContractSteps, errorOf, testIf } from './contract-steps.ts'

/** What becomes of a token that is stale or that the API rejects. */
export function describeRefreshing(contract: ContractSteps): void {
  const { fixtures, tokenRequests } = contract
  const { scopes, refreshed } = fixtures

  describe('refreshing', () => {
    testIf(refreshed)(
      'a stale token is replaced, and the next refresh uses what the reply brought',
      async () => {
        await contract.at.connect()
        contract.at.upstream.script('/token', refreshed!.reply)
        expect(await contract.at.useStaleToken()).toBe(refreshed!.accessToken)
        expect(sentBy(tokenRequests('refresh_token')[0]!).refresh_token).toBe(fixtures.refreshToken)

        contract.at.upstream.script('/api', fixtures.rejected ?? { status: 401 })
        await errorOf(contract.at.connected.fetch(user, scopes, `${contract.at.upstream.origin}/api`))
        expect(sentBy(tokenRequests('refresh_token').at(-1)!).refresh_token).toBe(refreshed!.refreshToken)
      },
    )

    testIf(refreshed)('a token the API rejects is replaced at once, however the vendor says so', async () => {
      await contract.at.connect()
      contract.at.upstream.script('/token', refreshed!.reply)
      contract.at.upstream.script('/api', ({ headers }) =>
        headers.authorization === `Bearer ${fixtures.accessToken}`
          ? (fixtures.rejected ?? { status: 401 })
          : { body: { ok: true } },
      )
      const response = await contract.at.connected.fetch(user, scopes, `${contract.at.upstream.origin}/api`)
      expect(await response.json()).toEqual({ ok: true })
      expect(contract.at.upstream.seen('/api').map(({ headers }) => headers.authorization)).toEqual([
        `Bearer ${fixtures.accessToken}`,
        `Bearer ${refreshed!.accessToken}`,
      ])
    })

    testIf(refreshed)('a refreshed token has the rights it had', async () => {
      await contract.at.connect()
      contract.at.upstream.script('/token', refreshed!.reply)
      await contract.at.useStaleToken()
      expect(await contract.at.connected.isConnected(user, scopes)).toBe(true)
    })

    testIf(!refreshed)('a token that was rejected and cannot be refreshed ends the connection', async () => {
      await contract.at.connect()
      contract.at.upstream.script('/api', fixtures.rejected ?? { status: 401 })
      const error = await errorOf(
        contract.at.connected.fetch(user, scopes, `${contract.at.upstream.origin}/api`),
      )
      expect(error).toMatchObject({ name: 'ConnectionRequiredError', reason: 'dead' })
      expect(tokenRequests('refresh_token')).toEqual([])
    })
  })
}
