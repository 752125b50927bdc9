import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FakeUpstream, type Script, startFakeUpstream } from './testing/fake-upstream.ts'
import {
  createHarness,
  createTestClock,
  type Harness,
  providerAt,
  type TestClock,
  user,
} from './testing/harness.ts'

let clock: TestClock
let upstream: FakeUpstream
let elsewhere: FakeUpstream
let harness: Harness

beforeEach(async () => {
  clock = createTestClock()
  upstream = await startFakeUpstream(clock)
  elsewhere = await startFakeUpstream(clock)
  harness = createHarness(providerAt.google(upstream.origin), { upstream, clock })
  await harness.connect({ scopes: ['email'] })
  upstream.script('/token', { body: { access_token: 'access-2', expires_in: 3600 } })
})
afterEach(() => Promise.all([upstream.close(), elsewhere.close()]))

const call = (path: string | URL | Request, init?: RequestInit) =>
  harness.connected.fetch(
    user,
    ['email'],
    typeof path === 'string' ? `${upstream.origin}${path}` : path,
    init,
  )
const seenTokens = (path: string) => upstream.seen(path).map(({ headers }) => headers.authorization)
const refreshes = () => upstream.seen('/token').length - 1
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    error => error,
  )
/** 401 to the first token, 200 to any other. */
const rejectsFirst: Script = ({ headers, body }) =>
  headers.authorization === 'Bearer access-1' ? { status: 401 } : { body: { ok: true, body } }

describe('R184: the token goes to the API of its provider and nowhere else', () => {
  it('to an API origin, in place of whatever the tool put there', async () => {
    upstream.script('/api', { body: { ok: true } })
    const response = await call('/api?x=1', {
      headers: { authorization: 'Bearer of the tool', 'x-own': '1' },
    })
    expect(await response.json()).toEqual({ ok: true })
    expect(seenTokens('/api')).toEqual(['Bearer access-1'])
    expect(upstream.seen('/api')[0]?.headers['x-own']).toBe('1')
  })

  it.each([
    ['another port', () => elsewhere.origin],
    ['another scheme', () => upstream.origin.replace('http:', 'https:')],
    ['a name that begins alike', () => upstream.origin.replace('127.0.0.1', '127.0.0.1.evil.example')],
    ['the origin as user info', () => `${upstream.origin}@evil.example`],
  ])('not to %s', async (_, origin) => {
    const url = new URL('/api', origin())
    expect(harness.connected.isApiUrl(url)).toBe(false)
    expect(await errorOf(call(url))).toBeInstanceOf(TypeError)
    expect(elsewhere.seen('/api')).toHaveLength(0)
  })

  it('across a redirect within the origin, but not to another', async () => {
    upstream.script('/a', { status: 302, headers: { location: '/b' } })
    upstream.script('/b', { status: 307, headers: { location: `${elsewhere.origin}/c` } })
    elsewhere.script('/c', { body: { ok: true } })
    const response = await call('/a', { headers: { cookie: 'session=1' } })
    expect(await response.json()).toEqual({ ok: true })
    expect(seenTokens('/b')).toEqual(['Bearer access-1'])
    expect(elsewhere.seen('/c')[0]?.headers).not.toHaveProperty('authorization')
    expect(elsewhere.seen('/c')[0]?.headers).not.toHaveProperty('cookie')
  })

  it('not even when the other origin sends the request back', async () => {
    upstream.script('/a', { status: 302, headers: { location: `${elsewhere.origin}/b` } })
    elsewhere.script('/b', { status: 302, headers: { location: `${upstream.origin}/c` } })
    upstream.script('/c', { status: 401 })
    expect((await call('/a')).status).toBe(401)
    expect(seenTokens('/c')).toEqual([undefined])
    expect(refreshes()).toBe(0)
  })

  it.each<[string, Script]>([
    [
      'an API that hangs up',
      () => {
        throw new Error('cut')
      },
    ],
    ['a redirect to nowhere', { status: 302, headers: { location: 'http://127.0.0.1:1/' } }],
  ])('R192: what is thrown for %s shows no token, however it is printed', async (_, script) => {
    upstream.script('/api', script)
    const error = await errorOf(call('/api'))
    expect(error).toBeInstanceOf(Error)
    const printed = [
      inspect(error, { showHidden: true, depth: 9 }),
      JSON.stringify(error),
      String(error),
    ].join()
    expect(printed).not.toMatch(/access-1|refresh-1|Bearer/)
  })

  it('a body meant for the provider does not follow a redirect to another origin', async () => {
    upstream.script('/a', { status: 308, headers: { location: `${elsewhere.origin}/b` } })
    expect((await call('/a', { method: 'POST', body: 'mine' })).status).toBe(308)
    expect(elsewhere.seen('/b')).toHaveLength(0)
  })
})

describe('redirects within the origin are those of fetch', () => {
  it.each([
    [302, 'POST', 'GET', ''],
    [303, 'PUT', 'GET', ''],
    [307, 'POST', 'POST', 'text'],
    [308, 'PUT', 'PUT', 'text'],
    [302, 'PUT', 'PUT', 'text'],
  ])('%i after %s becomes %s', async (status, method, next, body) => {
    upstream.script('/a', { status, headers: { location: '/b' } })
    upstream.script('/b', {})
    await call('/a', { method, body: 'text' })
    expect(upstream.seen('/b')[0]).toMatchObject({ method: next, body })
  })

  it('an endless chain ends', async () => {
    upstream.script('/a', { status: 302, headers: { location: '/a' } })
    expect(await errorOf(call('/a'))).toBeInstanceOf(TypeError)
    expect(upstream.seen('/a')).toHaveLength(6)
  })

  it('a tool may see to them itself', async () => {
    upstream.script('/a', { status: 302, headers: { location: '/b' } })
    expect((await call('/a', { redirect: 'manual' })).headers.get('location')).toBe('/b')
    expect(await errorOf(call('/a', { redirect: 'error' }))).toBeInstanceOf(TypeError)
    expect(upstream.seen('/b')).toHaveLength(0)
  })
})

describe('a token the API rejects', () => {
  it.each<[string, () => [URL | string | Request, RequestInit?], string]>([
    ['without a body', () => ['/api'], ''],
    ['with a text', () => ['/api', { method: 'POST', body: 'text' }], 'text'],
    ['with a form', () => ['/api', { method: 'POST', body: new URLSearchParams({ a: '1' }) }], 'a=1'],
    ['with bytes', () => ['/api', { method: 'PUT', body: new TextEncoder().encode('bytes') }], 'bytes'],
    ['as a Request', () => [new Request(`${upstream.origin}/api`, { headers: { 'x-own': '1' } })], ''],
  ])('is refreshed once and the request sent again: %s', async (_, request, body) => {
    upstream.script('/api', rejectsFirst)
    const response = await call(...request())
    expect(await response.json()).toEqual({ ok: true, body })
    expect(seenTokens('/api')).toEqual(['Bearer access-1', 'Bearer access-2'])
    expect(refreshes()).toBe(1)
  })

  it.each<[string, () => [string | Request, RequestInit?]]>([
    [
      'a stream',
      () => ['/api', { method: 'POST', body: new Blob(['x']).stream(), duplex: 'half' } as RequestInit],
    ],
    ['a Request with a body', () => [new Request(`${upstream.origin}/api`, { method: 'POST', body: 'x' })]],
  ])('is refreshed for the next call when the body cannot be sent again: %s', async (_, request) => {
    upstream.script('/api', rejectsFirst)
    expect((await call(...request())).status).toBe(401)
    expect(upstream.seen('/api')[0]?.body).toBe('x')
    expect(refreshes()).toBe(1)
    expect((await call('/api')).status).toBe(200)
    expect(refreshes()).toBe(1)
  })

  it('once only: a second 401 is the answer', async () => {
    upstream.script('/api', { status: 401 })
    expect((await call('/api')).status).toBe(401)
    expect(upstream.seen('/api')).toHaveLength(2)
    expect(refreshes()).toBe(1)
  })

  it('R180: 50 parallel rejections make one refresh', async () => {
    upstream.script('/api', rejectsFirst)
    const responses = await Promise.all(Array.from({ length: 50 }, () => call('/api')))
    expect(responses.map(({ status }) => status)).toEqual(Array(50).fill(200))
    expect(refreshes()).toBe(1)
  })

  it('and cannot be refreshed now: the tool hears that later will do', async () => {
    upstream.script('/api', { status: 401 })
    upstream.script('/token', { status: 503 })
    expect(await errorOf(call('/api'))).toMatchObject({ name: 'ProviderUnavailableError' })
  })

  it('and cannot be refreshed at all: the user connects again', async () => {
    harness = createHarness(providerAt.linkedin(upstream.origin), { upstream, clock })
    await harness.connect({ scopes: ['email'], reply: { refresh_token: undefined, expires_in: '5184000' } })
    upstream.script('/api', { status: 401 })
    expect(await errorOf(call('/api'))).toMatchObject({ name: 'ConnectionRequiredError', reason: 'dead' })
    expect(await harness.connected.isConnected(user, ['email'])).toBe(false)
  })
})

describe("the caller's abort signal", () => {
  it('ends the request', async () => {
    const controller = new AbortController()
    upstream.script('/api', () => {
      controller.abort(new Error('enough'))
      return new Promise(() => {})
    })
    expect(await errorOf(call('/api', { signal: controller.signal }))).toMatchObject({ message: 'enough' })
  })

  it('ends the wait for a refresh, which goes on for others', async () => {
    clock.now += 4000
    const controller = new AbortController()
    upstream.script('/token', async () => {
      controller.abort(new Error('enough'))
      await new Promise(resolve => setImmediate(resolve))
      return { body: { access_token: 'access-2' } }
    })
    upstream.script('/api', {})
    const aborted = errorOf(call('/api', { signal: controller.signal }))
    const patient = call('/api')
    expect(await aborted).toMatchObject({ message: 'enough' })
    expect((await patient).status).toBe(200)
    expect(refreshes()).toBe(1)
    expect(seenTokens('/api')).toEqual(['Bearer access-2'])
  })

  it('aborted before: nothing is asked and nothing is sent', async () => {
    let reads = 0
    const { listConnections } = harness.host.store
    harness.host.store.listConnections = step => {
      reads++
      return listConnections(step)
    }
    const signal = AbortSignal.abort(new Error('no'))
    expect(await errorOf(call('/api', { signal }))).toMatchObject({ message: 'no' })
    expect(upstream.seen('/api')).toHaveLength(0)
    expect(reads).toBe(0)
  })
})

it('R158: only what the tool and the token source wrote reaches the API', async () => {
  upstream.script('/api', {})
  await call('/api')
  expect(Object.keys(upstream.seen('/api')[0]!.headers).sort()).toEqual(
    [
      'accept',
      'accept-encoding',
      'accept-language',
      'authorization',
      'connection',
      'host',
      'sec-fetch-mode',
      'user-agent',
    ].sort(),
  )
})
