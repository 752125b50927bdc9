import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LocalClient, SignInRequest } from './local-client.ts'
import { createLoopbackSignIn, type LoopbackSignIn } from './loopback-sign-in.ts'

const request: SignInRequest = { scopes: ['mcp'], maxAgeSeconds: undefined }
const held = { clientId: 'client', accessToken: 'token', endsAt: 0 }

let now: number
let begun: { redirectUri: string; request: SignInRequest }[]
let finished: string[]
let errors: unknown[]
let isGood: boolean
let signIn: LoopbackSignIn

beforeEach(() => {
  now = 1_900_000_000
  begun = []
  finished = []
  errors = []
  isGood = true
  const client: LocalClient = {
    async begin(redirectUri, request) {
      begun.push({ redirectUri, request })
      const state = `state-${begun.length}`
      return {
        url: `https://login.example.com/authorize?state=${state}`,
        state,
        async finish(callback) {
          finished.push(callback.href)
          if (callback.searchParams.has('error')) throw new Error('access_denied')
          return held
        },
      }
    },
    refresh: async () => undefined,
  }
  signIn = createLoopbackSignIn({
    client,
    accept: async () => isGood,
    clock: () => now,
    onError: error => errors.push(error),
  })
})
afterEach(() => signIn.close())

const get = (url: string, init?: RequestInit) => fetch(url, { redirect: 'manual', ...init })
const callback = (link: string, query: string) => `${new URL(link).origin}/callback?${query}`

describe('a link that signs in', () => {
  it('leads to the issuer, and back to a port of this computer alone', async () => {
    const link = await signIn.link(request)
    expect(link).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/sign-in\/[\w-]{24}$/)
    const sent = await get(link)
    expect([sent.status, sent.headers.get('location')]).toEqual([
      302,
      'https://login.example.com/authorize?state=state-1',
    ])
    expect(begun).toEqual([{ redirectUri: callback(link, '').slice(0, -1), request }])
    const back = await get(callback(link, 'state=state-1&code=c'))
    expect([back.status, await back.text()]).toEqual([200, expect.stringContaining('Signed in')])
    expect(finished).toHaveLength(1)
  })

  it('is the same for the same wish, another for another', async () => {
    const link = await signIn.link(request)
    expect(await signIn.link({ ...request })).toBe(link)
    expect(await signIn.link({ ...request, scopes: ['more'] })).not.toBe(link)
    expect(await signIn.link({ ...request, maxAgeSeconds: 5 })).not.toBe(link)
    expect(begun).toHaveLength(3)
  })

  it('R78: takes a way back once', async () => {
    const link = await signIn.link(request)
    const back = callback(link, 'state=state-1&code=c')
    const answers = await Promise.all([get(back), get(back), get(back)])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 404, 404])
    expect(finished).toHaveLength(1)
    expect((await get(link)).status).toBe(404)
  })

  it('R73: takes no way back with another state, and uses nothing up', async () => {
    const link = await signIn.link(request)
    for (const query of ['code=c', 'state=&code=c', 'state=state-2&code=c']) {
      expect((await get(callback(link, query))).status).toBe(404)
    }
    expect(finished).toEqual([])
    expect((await get(link)).status).toBe(302)
  })

  it('ends after ten minutes', async () => {
    const link = await signIn.link(request)
    now += 600
    expect((await get(link)).status).toBe(404)
    expect((await get(callback(link, 'state=state-1&code=c'))).status).toBe(404)
    expect(await signIn.link(request)).not.toBe(link)
  })

  it('says that nothing was changed when the user declines', async () => {
    const link = await signIn.link(request)
    const back = await get(callback(link, 'state=state-1&error=access_denied&error_description=canary'))
    const text = await back.text()
    expect([back.status, text]).toEqual([400, expect.stringContaining('Nothing was changed')])
    expect(text).not.toContain('canary')
    expect(errors).toHaveLength(1)
  })

  it('says so when the token is not good for this server', async () => {
    isGood = false
    const link = await signIn.link(request)
    expect((await get(callback(link, 'state=state-1&code=c'))).status).toBe(403)
  })

  it('R193: does not answer under another name', async () => {
    const { port } = new URL(await signIn.link(request))
    expect((await get(`http://localhost:${port}/callback?state=state-1`)).status).toBe(403)
    expect(finished).toEqual([])
  })

  it('R198: its pages run no script and are kept by nobody', async () => {
    const link = await signIn.link(request)
    const { headers } = await get(`${new URL(link).origin}/`)
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect((await get(link, { method: 'POST' })).status).toBe(405)
  })
})
