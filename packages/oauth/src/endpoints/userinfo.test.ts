import { describe, expect, it } from 'vitest'
import {
  createFixture,
  type Fixture,
  issuer,
  otherResource,
  publicClient,
} from '../authorization-server.fixture.ts'

const withOpenid = { scopes: ['openid', 'notes:read'] }

const ask = async (fixture: Fixture, authorization?: string, method = 'GET', path = '/oauth/userinfo') => {
  const headers = authorization === undefined ? {} : { authorization }
  const response = await fixture.server.handle(new Request(issuer + path, { method, headers }))
  if (!response) throw new Error('no such path')
  return response
}

describe('userinfo', () => {
  it.each(['GET', 'POST'])(
    '%s: says whose access token it is, for whichever resource, and no more',
    async method => {
      const fixture = createFixture()
      for (const change of [withOpenid, { ...withOpenid, resource: otherResource }]) {
        const { access } = await fixture.session(publicClient, change)
        const response = await ask(fixture, `bearer ${access}`, method)
        expect([response.status, await response.json()]).toEqual([200, { sub: 'user-1' }])
        expect(response.headers.get('cache-control')).toBe('no-store')
      }
    },
  )

  it('R155: takes nothing but an access token with openid, that has not ended and is not revoked', async () => {
    const fixture = createFixture()
    const { grantId, access, refresh, code } = await fixture.session(publicClient, withOpenid)
    const redeemed = await fixture.refresh(publicClient, refresh)
    const { id_token: idToken } = (await redeemed.json()) as Record<string, string>
    expect(idToken).toBeTypeOf('string')
    const challengeOf = async (authorization?: string, path?: string) => {
      const response = await ask(fixture, authorization, 'GET', path)
      return [response.status, response.headers.get('www-authenticate')?.split(',')[0]]
    }
    const invalid = [401, 'Bearer error="invalid_token"']
    expect(await challengeOf()).toEqual([401, 'Bearer'])
    expect(await challengeOf(undefined, `/oauth/userinfo?access_token=${access}`)).toEqual([401, 'Bearer'])
    for (const value of [idToken, refresh, code, 'canary', `${access}x`, `${access}, Bearer ${access}`]) {
      expect(await challengeOf(`Bearer ${value}`)).toEqual(invalid)
    }
    expect(await challengeOf(`Basic ${access}`)).toEqual(invalid)
    const without = await fixture.session(publicClient)
    expect(await challengeOf(`Bearer ${without.access}`)).toEqual([403, 'Bearer error="insufficient_scope"'])
    await fixture.server.admin.revokeGrant(grantId)
    expect(await challengeOf(`Bearer ${access}`)).toEqual(invalid)
    const other = await fixture.session(publicClient, withOpenid)
    fixture.time.now += 901
    expect(await challengeOf(`Bearer ${other.access}`)).toEqual(invalid)
  })
})
