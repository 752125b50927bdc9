import { describe, expect, it } from 'vitest'
import {
  challenge,
  clientTypes,
  createFixture,
  onceClient,
  otherClient,
  outcome,
  publicClient,
  redirectUri,
  verifier,
} from '../authorization-server.fixture.ts'
import { sha256 } from '../protocol/hash.ts'

const wrongVerifier = 'w'.repeat(43)

describe('authorization_code', () => {
  it.each(clientTypes)('R95: of 20 parallel redemptions by a $name client one succeeds', async client => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(client)
    const responses = await Promise.all(Array.from({ length: 20 }, () => fixture.redeem(client, code)))
    const outcomes = await Promise.all(responses.map(response => outcome(response)))
    expect(outcomes.filter(each => each === '200')).toHaveLength(1)
    expect(outcomes.filter(each => each === '400 invalid_grant')).toHaveLength(19)
  })

  it.each(clientTypes)(
    'R96: a code used twice by a $name client ends all its tokens, rotated ones too',
    async client => {
      const fixture = createFixture()
      const { code, access, refresh, grantId } = await fixture.session(client)
      const rotated = (await (await fixture.refresh(client, refresh)).json()) as Record<string, string>
      expect(await fixture.isLive(rotated.access_token!)).toBe(true)
      expect(await outcome(await fixture.redeem(client, code))).toBe('400 invalid_grant')
      expect(await fixture.isLive(access)).toBe(false)
      expect(await fixture.isLive(rotated.access_token!)).toBe(false)
      expect(await outcome(await fixture.refresh(client, rotated.refresh_token!))).toBe('400 invalid_grant')
      expect(fixture.events.slice(-2)).toEqual([
        { type: 'code_replayed', grantId, userId: 'user-1', clientIdHash: sha256(client.clientId) },
        { type: 'family_revoked', grantId, by: 'code_replayed' },
      ])
    },
  )

  it.each([
    ['a wrong verifier', publicClient, { code_verifier: wrongVerifier }],
    ['the challenge for a verifier', publicClient, { code_verifier: challenge }],
    ['no verifier', publicClient, { code_verifier: undefined }],
    ['another client', otherClient, {}],
    ['another redirect URI', publicClient, { redirect_uri: 'https://evil.example/' }],
    ['another resource', publicClient, { resource: 'https://mcp.example.com/other' }],
  ])(
    'R97: a used code with %s ends nothing: nobody can end a session with a code they saw',
    async (_, client, change) => {
      const fixture = createFixture()
      const { code, access, refresh } = await fixture.session(publicClient)
      for (let attempt = 0; attempt < 10; attempt++) {
        expect((await fixture.redeem(client, code, change)).status).toBe(400)
      }
      expect(await fixture.isLive(access)).toBe(true)
      expect(await outcome(await fixture.refresh(publicClient, refresh))).toBe('200')
    },
  )

  it('R97: a guessed code with the right family id ends nothing and uses nothing up', async () => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(publicClient)
    const guess = code.slice(0, -4) + (code.endsWith('AAAA') ? 'BBBB' : 'AAAA')
    for (let attempt = 0; attempt < 10; attempt++) {
      // Not even whether a guess about the resource is right.
      for (const change of [{}, { resource: 'https://evil.example' }]) {
        expect(await outcome(await fixture.redeem(publicClient, guess, change))).toBe('400 invalid_grant')
      }
    }
    expect(await outcome(await fixture.redeem(publicClient, code))).toBe('200')
    expect(await outcome(await fixture.redeem(publicClient, guess))).toBe('400 invalid_grant')
    expect(await fixture.server.admin.listGrants('user-1')).toHaveLength(1)
  })

  it.each([
    ['missing', undefined, '400 invalid_request'],
    ['empty', '', '400 invalid_request'],
    ['of 42 characters', 'v'.repeat(42), '400 invalid_request'],
    ['of 129 characters', 'v'.repeat(129), '400 invalid_request'],
    ['of other characters', `${'v'.repeat(43)}+`, '400 invalid_request'],
    ['wrong', wrongVerifier, '400 invalid_grant'],
    ['the challenge itself', challenge, '400 invalid_grant'],
    ['right but for its case', verifier.toUpperCase(), '400 invalid_grant'],
  ])('R99: a verifier that is %s is refused, and the right one still works', async (_, value, expected) => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(publicClient)
    expect(await outcome(await fixture.redeem(publicClient, code, { code_verifier: value }))).toBe(expected)
    expect(await outcome(await fixture.redeem(publicClient, code))).toBe('200')
  })

  it.each([
    ['the same', redirectUri, '200'],
    ['absent', undefined, '200'],
    ['empty, which is absent', '', '200'],
    ['another one', 'https://evil.example/callback', '400 invalid_grant'],
    ['the same but for a slash', `${redirectUri}/`, '400 invalid_grant'],
    ['the same but for its case', redirectUri.toUpperCase(), '400 invalid_grant'],
  ])('R100: a redirect URI that is %s', async (_, value, expected) => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(publicClient)
    expect(await outcome(await fixture.redeem(publicClient, code, { redirect_uri: value }))).toBe(expected)
    if (expected !== '200') expect(await outcome(await fixture.redeem(publicClient, code))).toBe('200')
  })

  it.each([
    [4, '200'],
    [5, '400 invalid_grant'],
  ])('R102: after %i wrong verifiers the right one gets %s', async (failures, expected) => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(publicClient)
    for (let attempt = 0; attempt < failures; attempt++) {
      const response = await fixture.redeem(publicClient, code, { code_verifier: wrongVerifier })
      expect(await outcome(response)).toBe('400 invalid_grant')
    }
    expect(await outcome(await fixture.redeem(publicClient, code))).toBe(expected)
  })

  it('R102: verifiers that nobody could have meant do not count, so they cannot spend a code', async () => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(publicClient)
    for (let attempt = 0; attempt < 10; attempt++)
      await fixture.redeem(publicClient, code, { code_verifier: 'x' })
    expect(await outcome(await fixture.redeem(publicClient, code))).toBe('200')
  })

  it('a code ends with its time, and is not taken for a replay', async () => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(publicClient)
    fixture.time.now += 600
    expect(await outcome(await fixture.redeem(publicClient, code))).toBe('400 invalid_grant')
    expect(fixture.events).toEqual([])
  })

  it('R111: a client without the refresh_token grant gets no refresh token', async () => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(onceClient)
    const body = await (await fixture.redeem(onceClient, code)).json()
    expect(body).toMatchObject({ token_type: 'Bearer' })
    expect(body).not.toHaveProperty('refresh_token')
  })

  it('R110: an access token ends with the session at the latest, and expires_in says so', async () => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(publicClient, { endsAt: fixture.time.now + 60 })
    const body = (await (await fixture.redeem(publicClient, code)).json()) as Record<string, unknown>
    expect(body.expires_in).toBe(60)
  })

  it('R93: a grant without scopes has no scope member, for which the syntax has no word', async () => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(publicClient, { scopes: [] })
    expect(await (await fixture.redeem(publicClient, code)).json()).not.toHaveProperty('scope')
  })
})
