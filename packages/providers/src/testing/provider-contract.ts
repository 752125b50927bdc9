import { inspect } from 'node:util'
import type { Provider } from '@sallyport/mcp-server'
import { LoginError } from '@sallyport/oauth'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ProviderEndpoints } from '../provider-definition.ts'
import { type ErrorClass, UpstreamError } from '../upstream-error.ts'
import { type ContractUpstream, code, credentials, startContractUpstream } from './contract-upstream.ts'
import type { SeenRequest } from './fake-upstream.ts'
import { callbackUrl, user } from './harness.ts'

/** One reply of a vendor, as its documentation or a trace shows it. */
export interface RecordedReply {
  /** Default 200. */
  status?: number
  headers?: Record<string, string>
  /** JSON when an object. */
  body?: object | string
}

/** A refusal of the token endpoint, and what it must be taken for. */
export interface RecordedRefusal extends RecordedReply {
  errorClass: ErrorClass
  /** Wait that the reply asks for, at 1 800 000 000 seconds since the epoch. */
  retryAfterSeconds?: number
}

/** How one vendor answers. A reply whose body has `id_token` gets one signed for the claims. */
export interface ProviderFixtures {
  /** Provider scopes that a tool needs. */
  scopes: readonly string[]
  /** Parameters of the authorization request, besides client id, state and the like; null: must not be sent. */
  authorization: Readonly<Record<string, string | null>>
  /** How client and parameters reach the token endpoint. */
  tokenRequest: { authentication: 'basic' | 'post'; body: 'form' | 'json' }
  /** The reply to a code, and what is in it. */
  connected: RecordedReply
  accessToken: string
  /** Absent: the vendor gives none. */
  refreshToken?: string
  /** Life of the access token; 0: it does not end by itself. */
  accessSeconds: number
  /** How the API says that a token is no good. Default: HTTP 401. */
  rejected?: RecordedReply
  /** Claims of the id_token; null takes a usual one away. Absent: there is no id_token. */
  claims?: (origin: string) => Record<string, unknown>
  /** What the vendor says about the account, where an endpoint is asked. */
  userinfo?: object
  /** Who that is. */
  identity: { issuer: (origin: string) => string; subject: string }
  /** A discovery document, where one is read. */
  discovery?: (origin: string) => object
  /** A reply that grants less: one of `scopes` is missing. Absent: the vendor grants all or nothing. */
  narrower?: RecordedReply
  /** The reply to a refresh; a vendor that rotates has another refresh token in it. */
  refreshed?: { reply: RecordedReply; accessToken: string; refreshToken: string }
  /** At least one for each class that the vendor has a reply for. */
  refusals: readonly RecordedRefusal[]
  /** Value of `error` in the callback of a user who declined. */
  denied: string
  /** How a grant is taken back. Absent: the vendor has no way to. */
  revocation?: {
    /** Whether the request at `/revoke` is what the vendor wants. */
    request: (request: SeenRequest, tokens: { accessToken: string; refreshToken?: string }) => void
    done: RecordedReply
    /** Replies that mean that nothing was left to take back. */
    gone: readonly RecordedReply[]
    /** Whether an access token that has ended must be refreshed first. */
    needsLiveToken?: boolean
  }
}

export interface ProviderUnderTest {
  name: string
  /** The provider with these credentials, and with all its addresses on this origin. */
  create(at: {
    origin: string
    endpoints: ProviderEndpoints
    clientId: string
    clientSecret: string
  }): Provider
  fixtures: ProviderFixtures
}

const passing: readonly ErrorClass[] = ['transient', 'rate_limited']
const ending: readonly ErrorClass[] = ['dead', 'consent']

const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    error => error,
  )

/** What one request carried, whichever way it was encoded. */
export function sentBy({ headers, form, body }: SeenRequest): Record<string, unknown> {
  const isJson = headers['content-type']?.startsWith('application/json')
  return isJson ? JSON.parse(body) : Object.fromEntries(form)
}

/** A test that is there only for vendors that have what it is about, so that none shows up as left out. */
const testIf = (condition: unknown): typeof it => (condition ? it : noTest)
const noTest = Object.assign(() => {}, { each: () => () => {} }) as unknown as typeof it

const basic = () => {
  const parts = [credentials.clientId, credentials.clientSecret].map(part =>
    new URLSearchParams({ part }).toString().slice('part='.length),
  )
  return `Basic ${btoa(parts.join(':'))}`
}

/**
 * What every provider keeps to, against an upstream that replays its vendor, faults included. Needs vitest.
 */
export function describeProviderContract(underTest: ProviderUnderTest): void {
  const { name, fixtures } = underTest
  const { scopes, refreshed, revocation } = fixtures

  describe(`provider contract: ${name}`, () => {
    let at: ContractUpstream
    beforeEach(async () => {
      at = await startContractUpstream(underTest)
    })
    afterEach(async () => {
      vi.restoreAllMocks()
      await at.close()
    })

    const tokenRequests = (grantType: string) =>
      at.upstream.seen('/token').filter(request => sentBy(request).grant_type === grantType)
    const refusalOfExchange = async (reply: RecordedReply) => {
      const { memory } = await at.start()
      return errorOf(at.finish(memory, reply))
    }
    const secrets = () =>
      [code, credentials.clientSecret, fixtures.accessToken, fixtures.refreshToken].filter(
        secret => secret !== undefined,
      )
    const expectSilence = (error: unknown, more: readonly string[] = []) => {
      const shown = `${inspect(error, { showHidden: true, depth: 9 })}${JSON.stringify(error)}${error}`
      for (const secret of [...secrets(), ...more]) expect(shown).not.toContain(secret)
    }
    const wordsOf = ({ body }: RecordedReply) =>
      Object.values(typeof body === 'object' ? body : { body }).filter(
        (value): value is string => typeof value === 'string' && value.includes(' '),
      )

    describe('connecting', () => {
      it('the browser is sent with what the vendor wants, and nothing it refuses', async () => {
        const { url } = await at.start()
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
        const { url } = await at.connect()
        const { code_verifier: verifier } = sentBy(tokenRequests('authorization_code')[0]!)
        expect(verifier !== undefined).toBe(url.searchParams.has('code_challenge'))
        if (verifier !== undefined) expect(url.href).not.toContain(verifier)
      })

      it('the code is redeemed once, with client authentication as the vendor knows it', async () => {
        await at.connect()
        const [request, ...more] = tokenRequests('authorization_code')
        expect(more).toEqual([])
        const sent = sentBy(request!)
        expect(sent).toMatchObject({ code, redirect_uri: callbackUrl })
        const { authentication, body } = fixtures.tokenRequest
        expect(request?.headers['content-type']?.includes('json')).toBe(body === 'json')
        expect(request?.headers.authorization).toBe(authentication === 'basic' ? basic() : undefined)
        expect([sent.client_id, sent.client_secret]).toEqual(
          authentication === 'post'
            ? [credentials.clientId, credentials.clientSecret]
            : [undefined, undefined],
        )
      })

      it('R76: the account is issuer and subject; the tool gets the token of that account', async () => {
        const { result } = await at.connect()
        const { issuer, subject } = fixtures.identity
        expect(result).toMatchObject({ issuer: issuer(at.upstream.origin), subject })
        expect((await at.connected.token(user, scopes)).value).toBe(fixtures.accessToken)
        expect(await at.connected.isConnected(user, scopes)).toBe(true)
      })

      it('R77: a user who declines is told apart from a failure, without the words of the vendor', async () => {
        const { memory } = await at.start()
        const finish = (error: string) => {
          const parameters = new URLSearchParams({ error, error_description: '<b>canary words</b>' })
          return errorOf(at.connected.login.finish({ callbackUrl, parameters, memory, scopes }))
        }
        const denied = await finish(fixtures.denied)
        expect(denied).toMatchObject({ name: 'LoginError', reason: 'denied' })
        expectSilence(denied, ['canary words'])
        expect(await finish('<script>')).toMatchObject({ name: 'LoginError', reason: 'failed' })
        expect(at.upstream.seen('/token')).toEqual([])
      })

      testIf(fixtures.narrower)(
        'R185: a grant that is narrower than asked is not taken for all',
        async () => {
          await at.connect(fixtures.narrower)
          expect(await errorOf(at.connected.token(user, scopes))).toMatchObject({
            name: 'ConnectionRequiredError',
            reason: 'missing_scope',
          })
          expect((await at.connected.token(user, [])).value).toBe(fixtures.accessToken)
        },
      )

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
        const { memory } = await at.start()
        at.upstream.script('/elsewhere', { body: fixtures.userinfo })
        const error = await errorOf(at.finish(memory, fixtures.connected, reply))
        expect(error).toMatchObject({ name: 'LoginError', reason })
        expectSilence(error)
        expect(at.upstream.seen('/elsewhere')).toEqual([])
      })
    })

    describe('refreshing', () => {
      testIf(refreshed)(
        'a stale token is replaced, and the next refresh uses what the reply brought',
        async () => {
          await at.connect()
          at.upstream.script('/token', refreshed!.reply)
          expect(await at.useStaleToken()).toBe(refreshed!.accessToken)
          expect(sentBy(tokenRequests('refresh_token')[0]!).refresh_token).toBe(fixtures.refreshToken)

          at.upstream.script('/api', fixtures.rejected ?? { status: 401 })
          await errorOf(at.connected.fetch(user, scopes, `${at.upstream.origin}/api`))
          expect(sentBy(tokenRequests('refresh_token').at(-1)!).refresh_token).toBe(refreshed!.refreshToken)
        },
      )

      testIf(refreshed)(
        'a token the API rejects is replaced at once, however the vendor says so',
        async () => {
          await at.connect()
          at.upstream.script('/token', refreshed!.reply)
          at.upstream.script('/api', ({ headers }) =>
            headers.authorization === `Bearer ${fixtures.accessToken}`
              ? (fixtures.rejected ?? { status: 401 })
              : { body: { ok: true } },
          )
          const response = await at.connected.fetch(user, scopes, `${at.upstream.origin}/api`)
          expect(await response.json()).toEqual({ ok: true })
          expect(at.upstream.seen('/api').map(({ headers }) => headers.authorization)).toEqual([
            `Bearer ${fixtures.accessToken}`,
            `Bearer ${refreshed!.accessToken}`,
          ])
        },
      )

      testIf(refreshed)('a refreshed token has the rights it had', async () => {
        await at.connect()
        at.upstream.script('/token', refreshed!.reply)
        await at.useStaleToken()
        expect(await at.connected.isConnected(user, scopes)).toBe(true)
      })

      testIf(!refreshed)(
        'a token that was rejected and cannot be refreshed ends the connection',
        async () => {
          await at.connect()
          at.upstream.script('/api', fixtures.rejected ?? { status: 401 })
          const error = await errorOf(at.connected.fetch(user, scopes, `${at.upstream.origin}/api`))
          expect(error).toMatchObject({ name: 'ConnectionRequiredError', reason: 'dead' })
          expect(tokenRequests('refresh_token')).toEqual([])
        },
      )
    })

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
        await at.connect()
        at.upstream.script('/token', refusal)
        const error = (await errorOf(at.useStaleToken())) as Error & { retryAfterSeconds?: number }
        expect(at.events).toContainEqual(
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
        const { memory } = await at.start()
        const { finish } = at.connected.login
        at.upstream.script('/token', () => {
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
        at.upstream.script('/elsewhere', fixtures.connected)
        const error = await refusalOfExchange(reply)
        expect(error).toMatchObject({ name: 'LoginError', reason })
        expectSilence(error, ['canary words'])
        expect(at.upstream.seen('/elsewhere')).toEqual([])
      })
    })

    describe('taking a grant back', () => {
      const tokens = (accessEndsAt = 0) => ({
        accessToken: fixtures.accessToken,
        ...(fixtures.refreshToken !== undefined && { refreshToken: fixtures.refreshToken }),
        accessEndsAt,
      })
      const revoke = (given = tokens()) => at.connected.revoke!(given)

      testIf(!revocation)('is not pretended where the vendor has no way to', async () => {
        expect(await revoke()).toEqual({ outcome: 'unsupported' })
        expect(at.upstream.seen('/revoke')).toEqual([])
      })

      testIf(revocation)('is one request as the vendor wants it', async () => {
        at.upstream.script('/revoke', revocation!.done)
        expect(await revoke()).toEqual({ outcome: 'revoked' })
        const [request, ...more] = at.upstream.seen('/revoke')
        expect(more).toEqual([])
        revocation!.request(request!, tokens())
      })

      testIf(revocation).each(revocation?.gone ?? [])('is done when nothing was left: %j', async reply => {
        at.upstream.script('/revoke', reply)
        expect(await revoke()).toEqual({ outcome: 'revoked' })
      })

      testIf(revocation)('is tried later with the same tokens when the vendor is in trouble', async () => {
        for (const status of [500, 503, 429]) {
          at.upstream.script('/revoke', { status, headers: { 'retry-after': '30' } })
          expect(await revoke()).toEqual({ outcome: 'later', tokens: tokens(), afterSeconds: 30 })
        }
        at.upstream.script('/revoke', { body: 'x'.repeat(300_000) })
        expect(await revoke()).toEqual({ outcome: 'later', tokens: tokens() })
      })

      testIf(revocation)(
        'is given up when our credentials are wrong, and never follows a redirect',
        async () => {
          at.upstream.script('/revoke', { status: 403, body: { error: 'unauthorized_client' } })
          expect(await revoke()).toEqual({ outcome: 'refused' })
          at.upstream.script('/revoke', { status: 307, headers: { location: '/elsewhere' } })
          expect(await revoke()).toEqual({ outcome: 'refused' })
          expect(at.upstream.seen('/elsewhere')).toEqual([])
        },
      )

      testIf(revocation?.needsLiveToken && refreshed)(
        'takes a live token: one that has ended is refreshed first, and not refreshed again',
        async () => {
          at.upstream.script('/token', refreshed!.reply)
          at.upstream.script('/revoke', { status: 503 }, revocation!.done)
          const result = await revoke(tokens(at.clock() - 1))
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
  })
}
