import { describe, expect, it } from 'vitest'
import type { Context, Endpoint } from './context.ts'
import { json } from './endpoints/respond.ts'
import { StoreUnavailableError } from './errors.ts'
import type { SallyportEvent } from './events.ts'
import { createRequestHandler } from './handle-request.ts'
import { createSecretRing } from './keys/secret-ring.ts'
import { createLimits } from './limits/limits.ts'
import type { Route } from './route.ts'

const events: SallyportEvent[] = []
const emit = (event: SallyportEvent) => void events.push(event)
const secrets = createSecretRing(['canary-ring-secret-0123456789-0123456789'])
const limits = createLimits({ factor: 0, store: {}, secrets, emit })
const context = { emit, limits, serverName: 'Calendar', issuer: 'https://mcp.example' } as unknown as Context
const echo: Endpoint = async (_, request) => json({ method: request.method, url: request.url })
const fail: Endpoint = async () => {
  throw new StoreUnavailableError('canary')
}
const routes: Route[] = [
  { method: 'GET', path: '/document', handler: echo, cors: 'open', readOnly: true },
  { method: 'POST', path: '/auth/oauth/token', handler: echo, cors: 'open' },
  { method: 'GET', path: '/auth/oauth/authorize', handler: echo, cors: 'none' },
  { method: 'GET', path: '/auth/oauth/callback/:id', handler: echo, cors: 'none' },
  { method: 'POST', path: '/auth/oauth/callback/:id', handler: echo, cors: 'none' },
  { method: 'POST', path: '/auth/oauth/consent', handler: echo, cors: 'none' },
  { method: 'POST', path: '/fail/:id', handler: fail, cors: 'open' },
]
const handle = createRequestHandler(context, routes)
const send = (method: string, path: string, headers: Record<string, string> = {}) =>
  handle(new Request(`https://any.example${path}`, { method, headers }))

describe('createRequestHandler', () => {
  it.each([
    '/',
    '/oauth/token',
    '/auth/oauth/token/',
    '/auth/oauth/token/x',
    '/auth/oauth/TOKEN',
    '/auth/oauth/%74oken',
    '/auth/oauth/callback',
    '/auth/oauth/callback/',
    '/auth/oauth/callback/google/x',
  ])('leaves %s to the host application', async path => {
    expect(await send('POST', path)).toBeUndefined()
  })

  it.each([
    ['GET', '/auth/oauth/callback/google?state=x'],
    ['POST', '/auth/oauth/callback/google'],
    ['POST', '/auth/oauth/token'],
  ])('%s %s reaches its endpoint with the URL as it came', async (method, path) => {
    const response = await send(method, path)
    expect(await response?.json()).toEqual({ method, url: `https://any.example${path}` })
  })

  it.each([
    ['GET', '/auth/oauth/token', 'POST'],
    ['PUT', '/auth/oauth/token', 'POST'],
    ['POST', '/document', 'GET, HEAD'],
    ['DELETE', '/auth/oauth/callback/google', 'GET, POST'],
    ['OPTIONS', '/auth/oauth/authorize', 'GET'],
  ])('R82: %s %s is 405 and says what is allowed', async (method, path, allow) => {
    const response = await send(method, path)
    expect([response?.status, response?.headers.get('allow')]).toEqual([405, allow])
  })

  it('who opens the address of a page they have answered gets a page, and nothing is answered again', async () => {
    const response = await send('GET', '/auth/oauth/consent')
    expect([response?.status, response?.headers.get('allow')]).toEqual([405, 'POST'])
    expect(response?.headers.get('content-type')).toContain('text/html')
    expect(await response?.text()).toContain('This page has expired')
  })

  it('HEAD of a document gives its headers alone', async () => {
    const response = await send('HEAD', '/document')
    expect(response?.status).toBe(200)
    expect(response?.headers.get('content-type')).toBe('application/json')
    expect(await response?.text()).toBe('')
  })

  it('HEAD takes no step of a sign-in: a link preview must not use up a callback', async () => {
    expect((await send('HEAD', '/auth/oauth/callback/google'))?.status).toBe(405)
    expect((await send('HEAD', '/auth/oauth/authorize'))?.status).toBe(405)
  })

  it.each([
    ['/document', 'GET, HEAD'],
    ['/auth/oauth/token', 'POST'],
  ])('R94: a page of any origin may ask %s, without credentials', async (path, methods) => {
    const response = await send('OPTIONS', path, {
      Origin: 'https://page.example',
      'Access-Control-Request-Method': 'POST',
      'Access-Control-Request-Headers': 'content-type',
    })
    expect(response?.status).toBe(204)
    expect(Object.fromEntries(response?.headers ?? [])).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': methods,
      'access-control-allow-headers': 'Authorization, Content-Type, DPoP, MCP-Protocol-Version',
    })
    expect(response?.headers.has('access-control-allow-credentials')).toBe(false)
  })

  it.each([
    ['POST', '/auth/oauth/token'],
    ['PUT', '/auth/oauth/token'],
    ['POST', '/fail/x'],
  ])('R94: a page can read the answer of %s %s, a refusal too', async (method, path) => {
    const response = await send(method, path, { Origin: 'https://page.example' })
    expect(response?.headers.get('access-control-allow-origin')).toBe('*')
    expect(response?.headers.get('access-control-expose-headers')).toContain('WWW-Authenticate')
    expect(response?.headers.has('access-control-allow-credentials')).toBe(false)
  })

  it('R52: no page may script the authorization endpoint', async () => {
    for (const method of ['GET', 'OPTIONS', 'POST']) {
      const response = await send(method, '/auth/oauth/authorize', { Origin: 'https://page.example' })
      expect([...(response?.headers.keys() ?? [])].filter(name => name.startsWith('access-control'))).toEqual(
        [],
      )
    }
  })

  it('R92, R188: a failed step is 503, and the event names the route, not the path', async () => {
    events.length = 0
    expect((await send('POST', '/fail/canary-state'))?.status).toBe(503)
    expect(events).toEqual([{ type: 'store_unavailable', step: '/fail/:id' }])
  })
})
