import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  basicClient,
  createFixture,
  issuer,
  postClient,
  publicClient,
  redirectUri,
  type TestClient,
} from '../authorization-server.fixture.ts'
import type { RecordedEvent } from '../events.ts'
import type { AuthorizationServerOptions } from '../options.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { limitTable } from './limit-table.ts'

beforeEach(() => void vi.useFakeTimers({ now: 1_800_000_000_000, toFake: ['Date', 'setTimeout'] }))
afterEach(() => void vi.useRealTimers())

const here = '198.51.100.7'
const elsewhere = '203.0.113.9'

function limited(options: Partial<AuthorizationServerOptions> = {}) {
  const events: RecordedEvent[] = []
  const fixture = createFixture({ onEvent: event => void events.push(event), ...options })
  const send = async (method: string, path: string, remoteAddress?: string) =>
    (await fixture.server.handle(
      new Request(issuer + path, { method }),
      remoteAddress === undefined ? {} : { remoteAddress },
    ))!
  const hits = () => events.filter(event => event.type === 'limit_hit')
  const registration = JSON.stringify({ redirect_uris: [redirectUri] })
  const register = (remoteAddress?: string) =>
    fixture.post('/oauth/register', registration, { 'Content-Type': 'application/json' }, remoteAddress)
  const refreshWith = (client: TestClient, headers: Record<string, string>, remoteAddress: string) =>
    fixture.post(
      '/oauth/token',
      { grant_type: 'refresh_token', refresh_token: 'sp_rt_none', ...client.body },
      { ...client.headers, ...headers },
      remoteAddress,
    )
  return { ...fixture, events, hits, send, register, refreshWith }
}

async function statuses(times: number, request: () => Promise<Response>): Promise<Record<number, number>> {
  const counted: Record<number, number> = {}
  for (let i = 0; i < times; i++) {
    const { status } = await request()
    counted[status] = (counted[status] ?? 0) + 1
  }
  return counted
}

describe('limits', () => {
  it('R22: 10000 registrations from one /64 are answered 429 and leave nothing behind', async () => {
    const store = createMemoryStore()
    const { register, hits } = limited({ store })
    await register('2001:db8:1:2::1')
    const before = store.size
    let host = 0
    const counted = await statuses(10_000, () => register(`2001:db8:1:2::${(++host).toString(16)}`))
    expect(counted).toEqual({ 201: 59, 429: 9_941 })
    expect(store.size).toBe(before)
    // One event, however many requests: a flood does not flood the log.
    expect(hits()).toMatchObject([{ limit: 'register', by: 'source', sourceHash: expect.any(String) }])
    expect((await register('2001:db8:1:3::1')).status).toBe(201)
  })

  it('R22: what was refused may come again after Retry-After', async () => {
    const { register } = limited()
    await statuses(60, () => register(here))
    vi.setSystemTime(1_800_000_012_500)
    const refused = await register(here)
    expect([refused.status, refused.headers.get('Retry-After')]).toEqual([429, '48'])
    vi.advanceTimersByTime(48_000)
    expect((await register(here)).status).toBe(201)
  })

  it('clients keep their tokens when they are refused: the code is temporarily_unavailable', async () => {
    const { register } = limited()
    await statuses(60, () => register(here))
    const refused = await register(here)
    expect(await refused.json()).toEqual({
      error: 'temporarily_unavailable',
      error_description: 'Too many requests. Try again later.',
    })
    expect(refused.headers.get('Cache-Control')).toBe('no-store')
    // A client in a browser may read when to come back.
    expect(refused.headers.get('Access-Control-Expose-Headers')).toContain('Retry-After')
  })

  it.each([
    ['POST', '/oauth/token', 'token'],
    ['POST', '/oauth/revoke', 'revoke'],
    ['GET', '/oauth/authorize', 'authorize'],
    ['POST', '/oauth/consent', 'consent'],
    ['GET', '/oauth/callback/test', 'callback'],
    ['GET', '/oauth/connect/test', 'connect'],
  ] as const)('R22: %s %s is limited for one source, and for that one only', async (method, path, limit) => {
    const { send, hits } = limited()
    const { points } = limitTable[limit]
    const before = await statuses(points, () => send(method, path, here))
    expect(before[429]).toBeUndefined()
    expect((await send(method, path, here)).status).toBe(429)
    expect((await send(method, path, elsewhere)).status).not.toBe(429)
    expect(hits()).toMatchObject([{ limit, by: 'source' }])
  })

  it('a user in a browser reads on a page that it was too much, and when to come back', async () => {
    const { send } = limited()
    await statuses(limitTable.authorize.points, () => send('GET', '/oauth/authorize', here))
    const page = await send('GET', '/oauth/authorize', here)
    expect(page.headers.get('Content-Type')).toContain('text/html')
    expect(page.headers.get('Retry-After')).toBe('60')
    expect(await page.text()).toContain('Too many requests')
  })

  it('documents that clients read after every 401 are not limited', async () => {
    const { send } = limited()
    const path = '/.well-known/oauth-authorization-server'
    expect(await statuses(1_000, () => send('GET', path, here))).toEqual({ 200: 1_000 })
  })

  it.each([
    ['client_secret_basic', basicClient, { Authorization: `Basic ${btoa('basic:wrong-secret-0123456789')}` }],
    ['client_secret_post', { ...postClient, body: { client_id: 'post', client_secret: 'wrong' } }, {}],
  ])('R88: 100 wrong secrets end in 429, and %s still works from elsewhere', async (name, wrong, headers) => {
    const right = name === 'client_secret_post' ? postClient : basicClient
    const { refreshWith, hits, events } = limited()
    expect(await statuses(100, () => refreshWith(wrong, headers, here))).toEqual({ 401: 10, 429: 90 })
    // Not even the right secret: or guessing would go on.
    expect((await refreshWith(right, {}, here)).status).toBe(429)
    // The client is known there: its answer is about the token.
    expect((await refreshWith(right, {}, elsewhere)).status).toBe(400)
    // Public clients on the same address have no secret that could be guessed.
    expect((await refreshWith(publicClient, {}, here)).status).toBe(400)
    expect(hits()).toHaveLength(1)
    expect(events.map(event => event.type)).toContain('suspicious_activity')
    vi.advanceTimersByTime(60_000)
    expect((await refreshWith(right, {}, here)).status).toBe(400)
  })

  it('R88: guesses sent all at once are no way around the limit', async () => {
    const { refreshWith } = limited()
    const wrong = { ...postClient, body: { client_id: 'post', client_secret: 'wrong' } }
    const answers = await Promise.all(Array.from({ length: 100 }, () => refreshWith(wrong, {}, here)))
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(10)
  })

  it('R88: one source that tries the secrets of many clients is stopped as well', async () => {
    const { refreshWith } = limited()
    let id = 0
    const guess = () =>
      refreshWith({ ...postClient, body: { client_id: `guess-${id++}`, client_secret: 'wrong' } }, {}, here)
    expect(await statuses(400, guess)).toEqual({ 401: 300, 429: 100 })
  })

  it('R88: a client that lost its registration hears 401 however often it asks, so that it registers again', async () => {
    const { refreshWith } = limited()
    const lost = { ...publicClient, body: { client_id: 'dcr.lost' } }
    expect(await statuses(100, () => refreshWith(lost, {}, here))).toEqual({ 401: 100 })
  })

  it('a client that authenticates has a limit of its own, from all its addresses together', async () => {
    const { refreshWith, hits } = limited({ rateLimit: 0.02 })
    const points = limitTable.client.points * 0.02
    let host = 0
    const next = (client: TestClient) => refreshWith(client, {}, `192.0.2.${host++}`)
    expect(await statuses(points, () => next(basicClient))).toEqual({ 400: points })
    expect((await next(basicClient)).status).toBe(429)
    expect((await next(postClient)).status).toBe(400)
    expect(hits()).toMatchObject([{ limit: 'client', by: 'client', clientIdHash: expect.any(String) }])
  })

  it('nobody can use up what a public client has: its id is no secret', async () => {
    const { refreshWith } = limited({ rateLimit: 0.01 })
    let host = 0
    const next = () => refreshWith(publicClient, {}, `192.0.${Math.floor(++host / 250)}.${host % 250}`)
    expect(await statuses(limitTable.client.points, next)).toEqual({ 400: limitTable.client.points })
  })

  it('one user has a limit, and a refusal uses nothing up', async () => {
    const { session, refresh, hits } = limited({ rateLimit: 0.01 })
    const { refresh: first } = await session(publicClient)
    const rotate = async (token: string) => {
      const response = await refresh(publicClient, token)
      return { status: response.status, body: (await response.json()) as Record<string, string> }
    }
    const second = await rotate(first)
    const third = await rotate(second.body.refresh_token!)
    const refused = await rotate(third.body.refresh_token!)
    expect([refused.status, refused.body.error]).toEqual([429, 'temporarily_unavailable'])
    expect(hits()).toMatchObject([{ limit: 'user', by: 'user', userId: 'user-1' }])
    const other = await session(publicClient, { userId: 'user-2' })
    expect(other.refresh).toEqual(expect.any(String))
    vi.advanceTimersByTime(60_000)
    expect((await rotate(third.body.refresh_token!)).status).toBe(200)
  })

  it('OAUTH_RATE_LIMIT=0 turns all of them off', async () => {
    const { register, refreshWith } = limited({ rateLimit: 0 })
    expect(await statuses(500, () => register(here))).toEqual({ 201: 500 })
    const wrong = { ...postClient, body: { client_id: 'post', client_secret: 'wrong' } }
    expect(await statuses(100, () => refreshWith(wrong, {}, here))).toEqual({ 401: 100 })
  })

  it('a host that tells no addresses does not limit all of its clients as if they were one', async () => {
    const { register } = limited()
    expect(await statuses(500, () => register())).toEqual({ 201: 500 })
  })

  it('a conformance run passes: 25 registrations and 60 token requests from one address', async () => {
    const { register, refreshWith } = limited()
    expect(await statuses(25, () => register(here))).toEqual({ 201: 25 })
    expect(await statuses(60, () => refreshWith(publicClient, {}, here))).toEqual({ 400: 60 })
  })

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('a factor of %s is refused at start', rateLimit => {
    expect(() => createFixture({ rateLimit })).toThrow('OAUTH_RATE_LIMIT must be a number, 0 or more.')
  })

  it('what deployers read about the limits is what is enforced', () => {
    const docs = readFileSync(join(import.meta.dirname, '../../../../docs/deploying.md'), 'utf8')
    const rows = [...docs.matchAll(/^\| `(\w+)` \|.*\| (source|client|user) \| (\d+) in (\d+) s \|$/gm)]
    expect(
      Object.fromEntries(rows.map(([, name, by, points, seconds]) => [name, [by, +points!, +seconds!]])),
    ).toEqual(
      Object.fromEntries(
        Object.entries(limitTable).map(([name, limit]) => [
          name,
          [limit.by, limit.points, limit.windowSeconds],
        ]),
      ),
    )
  })
})
