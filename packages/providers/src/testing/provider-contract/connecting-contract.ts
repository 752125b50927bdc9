import { describe, expect, it } from 'vitest'
import { code, credentials } from '../contract-upstream.ts'
import { callbackUrl, user } from '../harness.ts'
import type { RecordedReply } from '../provider-fixtures.ts'
import { sentBy } from '../sent-by.ts'
import { type ContractSteps, errorOf, testIf } from './contract-steps.ts'

const basic = () => {
  const parts = [credentials.clientId, credentials.clientSecret].map(part =>
    new URLSearchParams({ part }).toString().slice('part='.length),
  )
  return `Basic ${btoa(parts.join(':'))}`
}

/** From the browser that is sent off to the connection of an account. */
export function describeConnecting(contract: ContractSteps): void {
  const { fixtures, tokenRequests, refusalOfExchange, expectSilence } = contract
  const { scopes } = fixtures

  describe('connecting', () => {
    it('the browser is sent with what the vendor wants, and nothing it refuses', async () => {
      const { url } = await contract.at.start()
      const sent = Object.fromEntries(url.searchParams)
      expect(sent).toMatchObject({
        response_type: 'code',
        client_id: credentials.clientId,
        redirect_uri: callbackUrl,
        state: 'state',
      })
      for (const [parameter, value] of Object.entries(fixtures.authorization)) {
        if (value === null) expect(sent).not.toHaveProperty(parameter)
        else expect([parameter, sent[parameter]]).toEqual([parameter, value])
      }
    })

    it('R75: PKCE, where it is used, has its verifier in the exchange alone', async () => {
      const { url } = await contract.at.connect()
      const { code_verifier: verifier } = sentBy(tokenRequests('authorization_code')[0]!)
      expect(verifier !== undefined).toBe(url.searchParams.has('code_challenge'))
      if (verifier !== undefined) expect(url.href).not.toContain(verifier)
    })

    it('the code is redeemed once, with client authentication as the vendor knows it', async () => {
      await contract.at.connect()
      const [request, ...more] = tokenRequests('authorization_code')
      expect(more).toEqual([])
      const sent = sentBy(request!)
      expect(sent).toMatchObject({ code, redirect_uri: callbackUrl })
      const { authentication, body } = fixtures.tokenRequest
      expect(request?.headers['content-type']?.includes('json')).toBe(body === 'json')
      expect(request?.headers.authorization).toBe(authentication === 'basic' ? basic() : undefined)
      expect([sent.client_id, sent.client_secret]).toEqual(
        authentication === 'post' ? [credentials.clientId, credentials.clientSecret] : [undefined, undefined],
      )
    })

    it('R76: the account is issuer and subject; the tool gets the token of that account', async () => {
      const { result } = await contract.at.connect()
      const { issuer, subject } = fixtures.identity
      expect(result).toMatchObject({ issuer: issuer(contract.at.upstream.origin), subject })
      expect((await contract.at.connected.token(user, scopes)).value).toBe(fixtures.accessToken)
      expect(await contract.at.connected.isConnected(user, scopes)).toBe(true)
    })

    it('R77: a user who declines is told apart from a failure, without the words of the vendor', async () => {
      const { memory } = await contract.at.start()
      const finish = (error: string) => {
        const parameters = new URLSearchParams({ error, error_description: '<b>canary words</b>' })
        return errorOf(contract.at.connected.login.finish({ callbackUrl, parameters, memory, scopes }))
      }
      const denied = await finish(fixtures.denied)
      expect(denied).toMatchObject({ name: 'LoginError', reason: 'denied' })
      expectSilence(denied, ['canary words'])
      expect(await finish('<script>')).toMatchObject({ name: 'LoginError', reason: 'failed' })
      expect(contract.at.upstream.seen('/token')).toEqual([])
    })

    testIf(fixtures.narrower)('R185: a grant that is narrower than asked is not taken for all', async () => {
      await contract.at.connect(fixtures.narrower)
      expect(await errorOf(contract.at.connected.token(user, scopes))).toMatchObject({
        name: 'ConnectionRequiredError',
        reason: 'missing_scope',
      })
      expect((await contract.at.connected.token(user, [])).value).toBe(fixtures.accessToken)
    })

    testIf(fixtures.claims)('a reply without an id_token signs nobody in', async () => {
      const { id_token: _, ...body } = fixtures.connected.body as Record<string, unknown>
      expect(await refusalOfExchange({ ...fixtures.connected, body })).toMatchObject({ reason: 'failed' })
    })

    testIf(fixtures.userinfo).each<[string, RecordedReply, string]>([
      ['is down', { status: 503 }, 'unavailable'],
      ['is busy', { status: 429 }, 'unavailable'],
      ['sends without end', { body: 'x'.repeat(300_000) }, 'unavailable'],
      ['refuses the token', { status: 401 }, 'failed'],
      ['names nobody', { body: {} }, 'failed'],
      ['is no JSON', { body: '<html>' }, 'failed'],
      ['is elsewhere', { status: 302, headers: { location: '/elsewhere' } }, 'failed'],
    ])('the account cannot be asked for: the endpoint %s', async (_, reply, reason) => {
      const { memory } = await contract.at.start()
      contract.at.upstream.script('/elsewhere', { body: fixtures.userinfo })
      const error = await errorOf(contract.at.finish(memory, fixtures.connected, reply))
      expect(error).toMatchObject({ name: 'LoginError', reason })
      expectSilence(error)
      expect(contract.at.upstream.seen('/elsewhere')).toEqual([])
    })
  })
}
