import { decodeJwt } from 'jose'
import { describe, expect, it } from 'vitest'
import {
  clientTypes,
  createFixture,
  type Fixture,
  issuer,
  otherClient,
  otherResource,
  outcome,
  publicClient,
  resource,
  ringSecret,
} from '../authorization-server.fixture.ts'
import { createDpopKey, signProof } from '../dpop.fixture.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { systemRandom } from '../runtime.ts'
import { createOpaqueAccessTokens } from '../tokens/opaque-access-token.ts'

/** The option `accessTokenFormat: 'opaque'`, wherever an access token goes. */

const secret = 'canary-notes-api-secret-0123456789'
const setUp = (options: Parameters<typeof createFixture>[0] = {}) =>
  createFixture({
    accessTokenFormat: 'opaque',
    resourceServers: [
      { id: 'notes-api', secret, resources: [resource] },
      { id: 'other-api', secret, resources: [otherResource] },
    ],
    ...options,
  })
const introspect = async (fixture: Fixture, token: string, id = 'notes-api') => {
  const body = { token, client_id: id, client_secret: secret }
  return (await fixture.post('/oauth/introspect', body)).text()
}
const userinfo = (fixture: Fixture, token: string) =>
  fixture.server.handle(
    new Request(`${issuer}/oauth/userinfo`, { headers: { authorization: `Bearer ${token}` } }),
  )
const inactive = '{"active":false}'

describe('opaque access tokens', () => {
  it('tell their holder nothing, and our own resource server everything', async () => {
    const fixture = setUp()
    const { access, grantId } = await fixture.session(publicClient)
    expect(access).toMatch(/^sp_at_/)
    expect(() => decodeJwt(access)).toThrow()
    const bytes = access.split('.').map(part => Buffer.from(part, 'base64url').toString('latin1'))
    for (const text of [access, ...bytes]) {
      for (const claim of ['user-1', grantId, resource, 'notes:read', 'client_id', 'at+jwt']) {
        expect(text).not.toContain(claim)
      }
    }
    expect(await fixture.server.verifyAccessToken(access, resource)).toMatchObject({
      principal: 'user',
      userId: 'user-1',
      clientId: 'public',
      scopes: ['notes:read', 'notes:write'],
      grantId,
      expiresAt: fixture.time.now + 900,
    })
  })

  it('R153: are for one resource, and not for another, also when verified before', async () => {
    const fixture = setUp()
    const { access } = await fixture.session(publicClient)
    for (let time = 0; time < 2; time++) {
      await expect(fixture.server.verifyAccessToken(access, otherResource)).rejects.toMatchObject({
        code: 'invalid_token',
      })
      expect(await fixture.isLive(access)).toBe(true)
    }
  })

  it('R143, R144: are read for other resource servers by introspection, each its own', async () => {
    const fixture = setUp()
    const { access, grantId } = await fixture.session(publicClient)
    expect(JSON.parse(await introspect(fixture, access))).toEqual({
      active: true,
      token_type: 'Bearer',
      iss: issuer,
      sub: 'user-1',
      aud: resource,
      client_id: 'public',
      scope: 'notes:read notes:write',
      iat: fixture.time.now,
      exp: fixture.time.now + 900,
      jti: expect.any(String),
      sid: grantId,
      auth_time: fixture.time.now,
    })
    expect(await introspect(fixture, access, 'other-api')).toBe(inactive)
    expect(await introspect(fixture, `${access.slice(0, -8)}AAAAAAAA`)).toBe(inactive)
  })

  it.each(clientTypes)(
    'R138, R139: a $name client ends its session with one, expired too, and nobody else does',
    async client => {
      const fixture = setUp()
      for (const age of [0, 1000]) {
        const { access, refresh } = await fixture.session(client)
        fixture.time.now += age
        expect((await fixture.revoke(otherClient, access)).status).toBe(200)
        const refreshed = await fixture.refresh(client, refresh)
        expect(refreshed.status).toBe(200)
        const next = (await refreshed.json()) as Record<string, string>
        expect((await fixture.revoke(client, access)).status).toBe(200)
        for (const token of [access, next.access_token!]) {
          expect(await fixture.isLive(token)).toBe(false)
          expect(await introspect(fixture, token)).toBe(inactive)
        }
        expect(await outcome(await fixture.refresh(client, next.refresh_token!))).toBe('400 invalid_grant')
      }
    },
  )

  it('R154: end when they say so, whoever has verified them before', async () => {
    const fixture = setUp()
    const { access } = await fixture.session(publicClient)
    expect(await fixture.isLive(access)).toBe(true)
    fixture.time.now += 900
    expect(await fixture.isLive(access)).toBe(false)
    expect(await introspect(fixture, access)).toBe(inactive)
  })

  it('R105: a lost reply is repeated with the identical token', async () => {
    const fixture = setUp()
    const { refresh } = await fixture.session(publicClient)
    const replies = [
      await fixture.refresh(publicClient, refresh),
      await fixture.refresh(publicClient, refresh),
    ]
    const [first, second] = await Promise.all(replies.map(reply => reply.text()))
    expect(first).toContain('"access_token":"sp_at_')
    expect(second).toBe(first)
  })

  it('R155: userinfo takes them for every resource, and nothing that only looks like one', async () => {
    const fixture = setUp()
    for (const at of [resource, otherResource]) {
      const { access } = await fixture.session(publicClient, { scopes: ['openid'], resource: at })
      expect(await (await userinfo(fixture, access))?.json()).toEqual({ sub: 'user-1' })
    }
    const { refresh } = await fixture.session(publicClient, { scopes: ['openid'] })
    const answer = await (await fixture.refresh(publicClient, refresh)).json()
    const { id_token: idToken } = answer as Record<string, string>
    const { seal } = createOpaqueAccessTokens({
      issuer,
      tenant: fixture.store.tenant,
      secrets: createSecretRing([ringSecret]),
      random: systemRandom,
    })
    for (const value of [seal(idToken!), seal('canary'), 'sp_at_canary', `sp_at_${idToken}`]) {
      expect((await userinfo(fixture, value))?.status).toBe(401)
      expect(await fixture.isLive(value)).toBe(false)
      expect(await introspect(fixture, value)).toBe(inactive)
      expect((await fixture.revoke(publicClient, value)).status).toBe(200)
    }
    expect(fixture.events.filter(({ type }) => type === 'family_revoked')).toEqual([])
  })

  it('R159: bound to a key, one is good with that key alone, although nobody can read its cnf', async () => {
    const fixture = setUp()
    const key = createDpopKey()
    const { code } = await fixture.placeCode(publicClient, { scopes: ['openid'] })
    const proof = signProof(key, { url: `${issuer}/oauth/token`, now: fixture.time.now })
    const bound = { ...publicClient, headers: { DPoP: proof } }
    const answer = (await (await fixture.redeem(bound, code)).json()) as Record<string, string>
    const access = answer.access_token!
    expect([answer.token_type, access.slice(0, 6)]).toEqual(['DPoP', 'sp_at_'])
    const ask = async (headers: Record<string, string>) =>
      (await fixture.server.handle(new Request(`${issuer}/oauth/userinfo`, { headers })))?.status
    const by = (one: typeof key) => {
      const about = {
        method: 'GET',
        url: `${issuer}/oauth/userinfo`,
        now: fixture.time.now,
        accessToken: access,
      }
      return { authorization: `DPoP ${access}`, DPoP: signProof(one, about) }
    }
    expect(await ask(by(key))).toBe(200)
    expect(await ask(by(createDpopKey()))).toBe(401)
    expect(await ask({ authorization: `Bearer ${access}` })).toBe(401)
    expect(JSON.parse(await introspect(fixture, access))).toMatchObject({
      active: true,
      cnf: { jkt: key.jkt },
    })
  })

  it('are read by servers that issue JWTs and the other way round, so that the option can be changed', async () => {
    const opaque = setUp()
    const readable = setUp({ accessTokenFormat: 'jwt', store: opaque.store })
    const before = await readable.session(publicClient)
    const after = await opaque.session(publicClient)
    expect(decodeJwt(before.access).sub).toBe('user-1')
    for (const fixture of [opaque, readable]) {
      for (const { access } of [before, after]) {
        expect(await fixture.isLive(access)).toBe(true)
        expect(await introspect(fixture, access)).toContain('"active":true')
      }
    }
    expect((await readable.revoke(publicClient, after.access)).status).toBe(200)
    expect(await introspect(opaque, after.access)).toBe(inactive)
  })

  it('R178: stay valid while secrets are exchanged, until theirs leaves the ring', async () => {
    const newer = 'canary-newer-secret-0123456789-0123456789'
    const fixture = setUp()
    const { access } = await fixture.session(publicClient)
    const withRing = (...secrets: string[]) =>
      setUp({ store: fixture.store, secrets: createSecretRing(secrets) })
    const rotated = withRing(newer, ringSecret)
    expect(await rotated.isLive(access)).toBe(true)
    expect(await introspect(rotated, access)).toContain('"active":true')
    const { access: next } = await rotated.session(publicClient)
    // Closing waits for the signing key to be sealed again, so that the older secret can go.
    await rotated.server.close()
    const alone = withRing(newer)
    expect(await alone.isLive(next)).toBe(true)
    expect(await alone.isLive(access)).toBe(false)
    expect(await introspect(alone, access)).toBe(inactive)
  })
})
