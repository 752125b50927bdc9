import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { standardErrorClass } from './error-class.ts'
import { clientId, clientSecret, type FakeUpstream, startFakeUpstream } from './testing/fake-upstream.ts'
import { requestToken } from './token-request.ts'

let upstream: FakeUpstream
beforeEach(async () => {
  upstream = await startFakeUpstream(() => 1_800_000_000)
})
afterEach(() => upstream.close())

const ask = (clientAuthentication: 'post' | 'basic' = 'post', timeoutMs = 10_000) =>
  requestToken({
    endpoint: `${upstream.origin}/token`,
    credentials: { clientId, clientSecret },
    clientAuthentication,
    parameters: { grant_type: 'refresh_token', refresh_token: 'canary-refresh' },
    errorClass: standardErrorClass,
    clock: () => 1_800_000_000,
    timeoutMs,
  })
const classOf = (reply: Awaited<ReturnType<typeof ask>>) =>
  reply.outcome === 'refused' ? reply.error.errorClass : reply.outcome

describe('client authentication', () => {
  beforeEach(() => upstream.script('/token', { body: { access_token: 'a' } }))

  it('post: id and secret in the form, nothing in a header', async () => {
    expect(classOf(await ask('post'))).toBe('granted')
    const [seen] = upstream.seen('/token')
    expect(seen?.headers.authorization).toBeUndefined()
    expect(seen?.form.get('client_id')).toBe(clientId)
    expect(seen?.form.get('client_secret')).toBe(clientSecret)
  })

  it('basic: id and secret form-encoded (RFC 6749 §2.3.1), nothing in the form', async () => {
    expect(classOf(await ask('basic'))).toBe('granted')
    const [seen] = upstream.seen('/token')
    expect(seen?.headers.authorization).toBe(
      `Basic ${Buffer.from('test-client:test+secret+%2B%2F%25').toString('base64')}`,
    )
    expect([...seen!.form.keys()]).toEqual(['grant_type', 'refresh_token'])
  })
})

describe('a reply', () => {
  it.each([
    ['numbers', { expires_in: 3600, refresh_token_expires_in: 60 }, 3600, 60],
    ['strings, as LinkedIn sends', { expires_in: '5184000', refresh_token_expires_in: '60' }, 5_184_000, 60],
    ['fractions', { expires_in: 59.9 }, 59, undefined],
    ['nonsense', { expires_in: 'soon', refresh_token_expires_in: -1 }, undefined, undefined],
    ['null', { expires_in: null, refresh_token: null, scope: null }, undefined, undefined],
  ])('with lives as %s', async (_, members, access, refresh) => {
    upstream.script('/token', { body: { access_token: 'a', ...members } })
    const reply = await ask()
    if (reply.outcome !== 'granted') throw new Error('refused')
    expect(reply.grant.accessToken).toBe('a')
    expect(reply.grant.expiresInSeconds).toBe(access)
    expect(reply.grant.refreshExpiresInSeconds).toBe(refresh)
    expect(reply.grant.refreshToken).toBeUndefined()
  })
})

describe('R187: a bad upstream costs little and its words go nowhere', () => {
  it('one that never answers is given up', async () => {
    upstream.script('/token', 'never')
    expect(classOf(await ask('post', 50))).toBe('transient')
  })

  it('one that sends too much is given up', async () => {
    upstream.script('/token', { body: { access_token: 'a', padding: 'x'.repeat(64 * 1024) } })
    expect(classOf(await ask())).toBe('transient')
  })

  it('its error text and our secrets are in no error', async () => {
    upstream.script('/token', {
      status: 400,
      body: { error: 'invalid_grant', error_description: '<script>canary words</script>' },
    })
    const reply = await ask()
    if (reply.outcome !== 'refused') throw new Error('granted')
    const shown = [
      inspect(reply.error, { showHidden: true }),
      JSON.stringify(reply.error),
      String(reply.error),
    ].join()
    expect(shown).not.toMatch(/script|canary|invalid_grant|test secret/)
    expect(reply.error.code).toBe('invalid_grant')
  })
})

describe('R182: the class of a refusal', () => {
  it.each([
    [400, 'invalid_grant', 'dead'],
    [400, 'interaction_required', 'consent'],
    [401, 'invalid_client', 'misconfigured'],
    [401, undefined, 'misconfigured'],
    [400, 'unauthorized_client', 'misconfigured'],
    [400, 'temporarily_unavailable', 'transient'],
    [400, 'invalid_request', 'unknown'],
    [403, undefined, 'unknown'],
    [408, undefined, 'transient'],
    [429, 'invalid_grant', 'rate_limited'],
    [500, 'invalid_grant', 'transient'],
    [503, undefined, 'transient'],
  ])('%i %s → %s', async (status, error, expected) => {
    upstream.script('/token', { status, body: { error } })
    expect(classOf(await ask())).toBe(expected)
  })
})
