import { describe, expect, it } from 'vitest'
import { OAuthError, StoreUnavailableError } from '../errors.ts'
import type { SallyportEvent } from '../events.ts'
import { errorResponse, json, seeOther } from './respond.ts'

describe('json', () => {
  it('R89, R198: an answer is JSON, kept by no cache and never sniffed as HTML', async () => {
    const response = json({ a: 1 })
    expect(Object.fromEntries(response.headers)).toEqual({
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    expect(await response.json()).toEqual({ a: 1 })
  })

  it('lets a public document be cached and keeps status and headers', () => {
    const response = json(
      {},
      { status: 201, headers: { 'Cache-Control': 'public, max-age=60', Vary: 'Origin' } },
    )
    expect([response.status, response.headers.get('cache-control'), response.headers.get('vary')]).toEqual([
      201,
      'public, max-age=60',
      'Origin',
    ])
  })
})

describe('seeOther', () => {
  it('R49, R51: a redirect after a POST is a GET, uncached, and tells nobody where it came from', () => {
    const response = seeOther('https://client.example/cb?code=x', { 'Set-Cookie': 'a=b' })
    expect(response.status).toBe(303)
    expect(Object.fromEntries(response.headers)).toEqual({
      location: 'https://client.example/cb?code=x',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'set-cookie': 'a=b',
    })
  })
})

describe('errorResponse', () => {
  it('R89: a refusal is JSON with code and description, no-store, and keeps its headers', async () => {
    const response = errorResponse(
      new OAuthError('invalid_client', 'Unknown client.', { headers: { 'WWW-Authenticate': 'Basic' } }),
    )
    expect(response.status).toBe(401)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('www-authenticate')).toBe('Basic')
    expect(await response.json()).toEqual({ error: 'invalid_client', error_description: 'Unknown client.' })
  })

  it.each(['with "quotes"', 'back\\slash', 'line\nbreak', 'ümlaut', '\u007f'])(
    'R89: characters that RFC 6749 forbids never reach error_description: %j',
    async description => {
      const body = (await errorResponse(new OAuthError('invalid_request', description)).json()) as {
        error_description: string
      }
      expect(body.error_description).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/)
    },
  )

  it('R92, R140: a store that cannot answer is 503 temporarily_unavailable with Retry-After', async () => {
    const events: SallyportEvent[] = []
    const response = errorResponse(
      new StoreUnavailableError('canary-reason'),
      event => events.push(event),
      '/oauth/token',
    )
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('1')
    const text = await response.text()
    expect(JSON.parse(text).error).toBe('temporarily_unavailable')
    expect(text).not.toContain('canary-reason')
    expect(events).toEqual([{ type: 'store_unavailable', step: '/oauth/token' }])
  })

  it('a 503 refusal always says when to come back', () => {
    expect(errorResponse(new OAuthError('temporarily_unavailable', 'Busy.')).headers.get('retry-after')).toBe(
      '1',
    )
    const told = new OAuthError('temporarily_unavailable', 'Busy.', { headers: { 'Retry-After': '7' } })
    expect(errorResponse(told).headers.get('retry-after')).toBe('7')
  })

  it.each([
    ['an error', new TypeError('canary-reason at /home/secret')],
    ['an error whose message looks like a stack', new Error('a\n    at canary-reason')],
    ['an error with a cause', new Error('canary-reason', { cause: new Error('canary-reason') })],
    ['a string', 'canary-reason'],
    ['undefined', undefined],
  ])(
    'R189: %s becomes a bare server_error, and neither answer nor event holds its message',
    async (_, thrown) => {
      const events: SallyportEvent[] = []
      const response = errorResponse(thrown, event => events.push(event))
      expect(response.status).toBe(500)
      expect(await response.json()).toEqual({ error: 'server_error' })
      expect(events).toHaveLength(1)
      expect(events[0]?.type).toBe('request_failed')
      expect(JSON.stringify(events)).not.toContain('canary-reason')
    },
  )
})
