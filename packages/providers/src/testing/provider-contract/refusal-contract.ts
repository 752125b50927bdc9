import { LoginError } from '@sallyport/oauth'
import { describe, expect, it, vi } from 'vitest'
import { type ErrorClass, UpstreamError } from '../../upstream-error.ts'
import { code } from '../contract-upstream.ts'
import { callbackUrl } from '../harness.ts'
import type { RecordedReply } from '../provider-fixtures.ts'
import { type ContractSteps, errorOf, testIf } from './contract-steps.ts'

const passing: readonly ErrorClass[] = ['transient', 'rate_limited']
const ending: readonly ErrorClass[] = ['dead', 'consent']

/** What refusals and troubles of the token endpoint are taken for, and how little of them gets out. */
export function describeRefusals(contract: ContractSteps): void {
  const { fixtures, refusalOfExchange, expectSilence, wordsOf } = contract
  const { scopes, refreshed } = fixtures

  describe('R182: the class of each refusal', () => {
    const titled = fixtures.refusals.map(
      refusal =>
        [
          `${refusal.status ?? 200} ${JSON.stringify(refusal.body ?? '').slice(0, 60)}`,
          refusal.errorClass,
          refusal,
        ] as const,
    )

    it('there is a recorded reply for each class', () => {
      const classes: ErrorClass[] = ['misconfigured', 'rate_limited', 'transient']
      if (refreshed) classes.push('dead')
      expect(fixtures.refusals.map(({ errorClass }) => errorClass)).toEqual(expect.arrayContaining(classes))
    })

    it.each(titled)('of a code: %s → %s', async (_, errorClass, refusal) => {
      const error = await refusalOfExchange(refusal)
      expect(error).toBeInstanceOf(LoginError)
      expect(error.cause).toBeInstanceOf(UpstreamError)
      expect(error.cause).toMatchObject({ errorClass, retryAfterSeconds: refusal.retryAfterSeconds })
      expect(error.reason).toBe(passing.includes(errorClass) ? 'unavailable' : 'failed')
      expectSilence(error, wordsOf(refusal))
    })

    testIf(refreshed).each(titled)('of a refresh: %s → %s', async (_, errorClass, refusal) => {
      await contract.at.connect()
      contract.at.upstream.script('/token', refusal)
      const error = (await errorOf(contract.at.useStaleToken())) as Error & { retryAfterSeconds?: number }
      expect(contract.at.events).toContainEqual(
        expect.objectContaining({ type: 'connection_refresh_failed', errorClass }),
      )
      expect(error.name).toBe(
        ending.includes(errorClass) ? 'ConnectionRequiredError' : 'ProviderUnavailableError',
      )
      // A date has come nearer by now.
      const isRelative = /^\d+$/.test(refusal.headers?.['retry-after'] ?? '')
      if (isRelative && !ending.includes(errorClass)) {
        expect(error.retryAfterSeconds).toBeGreaterThanOrEqual(refusal.retryAfterSeconds ?? 0)
      }
      expectSilence(error, wordsOf(refusal))
    })
  })

  describe('R187: a token endpoint in trouble costs little and its words go nowhere', () => {
    it('one that never answers is given up', async () => {
      const controller = new AbortController()
      const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(controller.signal)
      const { memory } = await contract.at.start()
      const { finish } = contract.at.connected.login
      contract.at.upstream.script('/token', () => {
        controller.abort()
        return new Promise(() => {})
      })
      const parameters = new URLSearchParams({ code })
      expect(await errorOf(finish({ callbackUrl, parameters, memory, scopes }))).toMatchObject({
        reason: 'unavailable',
      })
      const waits = timeout.mock.calls.map(([ms]) => ms)
      expect(waits.length).toBeGreaterThan(0)
      for (const ms of waits) expect(ms).toBeLessThanOrEqual(10_000)
    })

    it.each<[string, RecordedReply, string]>([
      ['sends without end', { body: { padding: 'canary words'.repeat(10_000) } }, 'unavailable'],
      ['sends a page', { body: '<h1>canary words</h1>' }, 'failed'],
      ['sends an empty object', { body: {} }, 'failed'],
      ['is elsewhere', { status: 307, headers: { location: '/elsewhere' } }, 'failed'],
      ['has gone', { status: 502, body: '<h1>canary words</h1>' }, 'unavailable'],
    ])('one that %s', async (_, reply, reason) => {
      contract.at.upstream.script('/elsewhere', fixtures.connected)
      const error = await refusalOfExchange(reply)
      expect(error).toMatchObject({ name: 'LoginError', reason })
      expectSilence(error, ['canary words'])
      expect(contract.at.upstream.seen('/elsewhere')).toEqual([])
    })
  })
}
