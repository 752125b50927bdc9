import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectionStatus, createFileStore, type Store, systemClock } from '@sallyport/oauth'
import { createRedisStore } from '@sallyport/oauth/redis'
import { oidc } from '@sallyport/providers'
import { startUpstream, type Upstream } from '@sallyport/test-upstream'
import { createBrowser } from '@sallyport/test-upstream/browser'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startRedis, type TestRedis } from './support/redis.ts'
import { type RefreshProcess, startRefreshProcess } from './support/refresh-process.ts'
import { createProviderHost, type RefreshSettings } from './support/refresh-settings.ts'

const callbackUrl = 'http://localhost:1/callback'
const [clientId, clientSecret] = ['sallyport-e2e', 'client-secret-of-the-upstream']
/** Moves a clock past the end of the provider's tokens, or into their last minutes. */
const afterEnd = 4000
const beforeEnd = 3400
const pastLease = 31

let redis: TestRedis
let directory: string
beforeAll(async () => {
  redis = await startRedis()
  directory = await mkdtemp(join(tmpdir(), 'sallyport-e2e-refresh-'))
})
afterAll(async () => {
  await redis.close()
  await rm(directory, { recursive: true, force: true })
})

describe.each<[string, () => RefreshSettings['store'], () => Store | Promise<Store>]>([
  ['Redis', () => ({ redisUrl: redis.url }), () => createRedisStore({ url: redis.url })],
  ['the file store', () => ({ directory }), () => createFileStore({ directory })],
])('two processes on %s, and a provider whose refresh tokens work once', (_, storeOf, openStore) => {
  let upstream: Upstream
  let store: Store
  let one: RefreshProcess
  let other: RefreshProcess
  let userId: string
  let users = 0

  let settings: RefreshSettings
  beforeAll(async () => {
    upstream = await startUpstream({
      kind: 'oidc',
      clientId,
      clientSecret,
      redirectUris: [callbackUrl],
      refreshTokens: 'always',
      rotateRefreshTokens: true,
      autoConsent: true,
    })
    settings = {
      store: storeOf(),
      kind: 'oidc',
      issuer: upstream.issuer,
      apiOrigin: upstream.apiOrigin,
      clientId,
      clientSecret,
      endpoints: {
        authorization: upstream.endpoints.authorize,
        token: upstream.endpoints.token,
        jwks: upstream.endpoints.jwks,
        issuers: [upstream.issuer],
      },
    }
    store = await openStore()
    ;[one, other] = await Promise.all([startRefreshProcess(settings), startRefreshProcess(settings)])
  })
  afterAll(async () => {
    await Promise.all([one?.kill(), other?.kill()])
    await store?.close()
    await upstream?.close()
  })
  beforeEach(async () => {
    if (one.isDead()) one = await startRefreshProcess(settings)
    userId = `user-${users++}`
    advance(0)
    await connect(0)
  })
  afterEach(() => {
    upstream.control.heal()
    one.thaw()
  })

  /** The user connects at the provider, `aheadSeconds` from now. */
  async function connect(aheadSeconds: number): Promise<void> {
    const clock = () => systemClock() + aheadSeconds
    const { issuer, apiOrigin, control } = upstream
    const { login } = oidc({
      id: 'upstream',
      label: 'Test Cloud',
      issuer,
      clientId,
      clientSecret,
      apiOrigins: [apiOrigin],
    }).connect(createProviderHost(store, clock))
    control.advance(aheadSeconds)
    const { url, memory } = await login.start({
      callbackUrl,
      upstreamState: 'state',
      scopes: ['profile'],
      userId,
    })
    const browser = createBrowser({ stopAt: at => at.href.startsWith(callbackUrl) })
    const { searchParams: parameters } = (await browser.open(url)).url
    const result = await login.finish({ callbackUrl, parameters, memory, scopes: ['profile'] })
    await result.onUser?.(userId)
    control.advance(-aheadSeconds)
    control.resetCounts()
  }

  const refreshes = () => upstream.control.count('token', 'refresh_token')
  const record = async (aheadSeconds: number) =>
    (await store.listConnections({ userId, now: systemClock() + aheadSeconds }))[0]
  const advance = (aheadSeconds: number) => {
    for (const each of [one, other]) each.advanceTo(aheadSeconds)
  }
  const call = async (at: RefreshProcess, callers = 1) => {
    const { tokens, errors } = await at.call([userId], { callers })
    return { tokens: [...new Set(tokens)], errors: [...new Set(errors)], count: tokens.length }
  }

  it('R180: 50 callers in each get the new token of one refresh, generation after generation', async () => {
    const seen = new Set<string>()
    for (let round = 1; round <= 4; round++) {
      advance(round * afterEnd)
      const [here, there] = await Promise.all([call(one, 50), call(other, 50)])
      expect([here.errors, there.errors, here.count, there.count]).toEqual([[], [], 50, 50])
      expect(here.tokens).toEqual(there.tokens)
      seen.add(here.tokens[0]!)
      expect(refreshes()).toBe(round)
      expect((await record(round * afterEnd))?.generation).toBe(round + 1)
    }
    expect(seen.size).toBe(4)
  })

  it('R180, R181: killed before the provider did anything, it is succeeded when its lease ends', async () => {
    advance(afterEnd)
    const hold = upstream.control.hang('token')
    void one.call([userId])
    await hold.reached
    await one.kill()
    await hold.gone
    hold.release()
    other.advanceTo(afterEnd + pastLease)
    const { tokens, errors, count } = await call(other, 50)
    expect([errors, tokens.length, count]).toEqual([[], 1, 50])
    // Of the two that were sent, one was carried out: the grant lives, and the next refresh works.
    expect(refreshes()).toBe(2)
    other.advanceTo(2 * afterEnd)
    expect((await call(other)).errors).toEqual([])
  })

  it('R181: killed between the reply and the write, the user connects again, and that is all', async () => {
    advance(afterEnd)
    const hold = upstream.control.hangReply()
    void one.call([userId])
    await hold.reached
    await one.kill()
    await hold.gone
    hold.release()
    const now = afterEnd + pastLease
    other.advanceTo(now)
    expect(await call(other, 50)).toEqual({ tokens: [], errors: ['ConnectionRequiredError'], count: 0 })
    const ended = (await record(now))!
    expect(ended).toMatchObject({ state: 'dead', endReason: 'lost', generation: 2 })
    expect(connectionStatus(ended, systemClock() + now).state).toBe('needs_consent')
    expect(refreshes(), 'nobody tries again').toBe(2)
    await connect(now)
    expect((await call(other, 50)).errors).toEqual([])
    expect(refreshes()).toBe(0)
  })

  it.each([
    ['with the lease', 'claimed'],
    ['as it was about to send', 'sending'],
  ] as const)(
    'R180: frozen %s, it does not use the refresh token that another one has used',
    async (_, where) => {
      advance(afterEnd)
      const stopped = one.stopAt(where)
      const late = call(one, 50)
      await stopped
      one.freeze()
      other.advanceTo(afterEnd + pastLease)
      const { tokens } = await call(other, 50)
      one.advanceTo(afterEnd + pastLease)
      one.goOn()
      one.thaw()
      expect(await late).toEqual({ tokens, errors: [], count: 50 })
      expect(refreshes()).toBe(1)
      expect((await record(afterEnd))?.generation).toBe(2)
    },
  )

  it('R181: frozen with the only good reply, it is waited for as long as the old token works', async () => {
    advance(beforeEnd)
    const hold = upstream.control.hangReply()
    const late = call(one, 50)
    await hold.reached
    one.freeze()
    const now = beforeEnd + pastLease
    other.advanceTo(now)
    const before = await call(other, 50)
    expect([before.errors, before.count, refreshes()]).toEqual([[], 50, 1])
    hold.release()
    one.advanceTo(now)
    one.thaw()
    const after = await late
    expect([after.errors, after.count]).toEqual([[], 50])
    expect(after.tokens).not.toEqual(before.tokens)
    expect((await call(other, 50)).tokens).toEqual(after.tokens)
    expect(refreshes()).toBe(1)
  })

  it('R180: frozen with a reply, it does not overwrite what the user connected meanwhile', async () => {
    advance(afterEnd)
    const replied = one.stopAt('replied')
    const late = call(one, 50)
    await replied
    one.freeze()
    await connect(afterEnd)
    const { tokens } = await call(other, 50)
    one.goOn()
    one.thaw()
    expect(await late).toEqual({ tokens, errors: [], count: 50 })
    expect(await call(other, 50)).toEqual({ tokens, errors: [], count: 50 })
    expect((await record(afterEnd))?.generation).toBe(2)
    expect(refreshes()).toBe(0)
  })
})
