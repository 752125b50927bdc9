import { SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import {
  basicClient,
  clientTypes,
  createFixture,
  issuer,
  otherClient,
  outcome,
  postClient,
  publicClient,
  ringSecret,
} from '../authorization-server.fixture.ts'
import { StoreUnavailableError } from '../errors.ts'
import { createSealer } from '../keys/sealer.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { createSigningKeys } from '../keys/signing-keys.ts'
import { systemRandom } from '../runtime.ts'
import type { Store } from '../storage/store.ts'

type Body = Record<string, string>

describe('revoke', () => {
  it.each(
    clientTypes.flatMap(client =>
      (['access', 'refresh'] as const).flatMap(kind =>
        [undefined, 'access_token', 'refresh_token', 'nonsense'].map(hint => ({ client, kind, hint })),
      ),
    ),
  )(
    'R138, R139: a $client.name client ends its session with its $kind token, hint $hint',
    async ({ client, kind, hint }) => {
      const fixture = createFixture()
      const session = await fixture.session(client)
      expect(await fixture.isLive(session.access)).toBe(true)
      const response = await fixture.revoke(client, session[kind], { token_type_hint: hint })
      expect(response.status).toBe(200)
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(await fixture.isLive(session.access)).toBe(false)
      expect(await outcome(await fixture.refresh(client, session.refresh))).toBe('400 invalid_grant')
      expect(fixture.events.at(-1)).toEqual({
        type: 'family_revoked',
        grantId: session.grantId,
        by: 'client',
      })
    },
  )

  it.each(['access', 'refresh'] as const)(
    'R137: another client cannot end a session with its %s token',
    async kind => {
      const fixture = createFixture()
      const session = await fixture.session(publicClient)
      expect((await fixture.revoke(otherClient, session[kind])).status).toBe(200)
      expect(await fixture.isLive(session.access)).toBe(true)
      expect(await outcome(await fixture.refresh(publicClient, session.refresh))).toBe('200')
    },
  )

  it.each([
    [basicClient, '401 invalid_client'],
    [postClient, '401 invalid_client'],
  ])('R136: a $name client without its secret ends nothing', async (client, expected) => {
    const fixture = createFixture()
    const session = await fixture.session(client)
    const response = await fixture.post('/oauth/revoke', {
      token: session.refresh,
      client_id: client.clientId,
    })
    expect(await outcome(response)).toBe(expected)
    expect(await fixture.isLive(session.access)).toBe(true)
  })

  it('R136: a caller that does not say who it is is refused', async () => {
    const fixture = createFixture()
    const session = await fixture.session(publicClient)
    expect(await outcome(await fixture.post('/oauth/revoke', { token: session.refresh }))).toBe(
      '401 invalid_client',
    )
    expect(await fixture.isLive(session.access)).toBe(true)
  })

  it.each([
    ['nothing like a token', 'nonsense'],
    ['three dots', '..'],
    ['an unsigned JWT', 'eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30.'],
    [
      'a header with a number for a kid',
      `${Buffer.from('{"alg":"ES256","typ":"at+jwt","kid":1}').toString('base64url')}.e30.AAAA`,
    ],
    ['a refresh token of no family', `sp_rt_AAAA.0.${'A'.repeat(28)}.${'A'.repeat(43)}`],
    ['a code of no family', `sp_ac_AAAA.${'A'.repeat(28)}`],
  ])('R138: %s is answered with 200', async (_, token) => {
    const fixture = createFixture()
    expect((await fixture.revoke(publicClient, token)).status).toBe(200)
    expect(fixture.events).toEqual([])
  })

  it('R137: a token that somebody else signed with our kid ends nothing', async () => {
    const fixture = createFixture()
    const session = await fixture.session(publicClient)
    const [header, payload] = session.access.split('.')
    const { kid } = JSON.parse(Buffer.from(header!, 'base64url').toString()) as { kid: string }
    const forged = await new SignJWT(JSON.parse(Buffer.from(payload!, 'base64url').toString()))
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid })
      .sign(new Uint8Array(32))
    expect((await fixture.revoke(publicClient, forged)).status).toBe(200)
    expect(await fixture.isLive(session.access)).toBe(true)
  })

  it('R137: a token of ours that is no access token ends nothing', async () => {
    const fixture = createFixture()
    const session = await fixture.session(publicClient)
    const sealer = createSealer(createSecretRing([ringSecret]), systemRandom)
    const clock = () => fixture.time.now
    const keys = createSigningKeys({ store: fixture.store, sealer, algorithm: 'ES256', clock })
    const signer = await keys.active()
    const idToken = await signer.signJwt({ iss: issuer, sid: session.grantId }, { typ: 'JWT' })
    expect((await fixture.revoke(publicClient, idToken)).status).toBe(200)
    expect(await fixture.isLive(session.access)).toBe(true)
  })

  it('R137: an access token of another issuer on the same store ends nothing here', async () => {
    const fixture = createFixture()
    const neighbour = createFixture({ issuer: 'https://other.example.com', store: fixture.store })
    const session = await neighbour.session(publicClient)
    expect((await fixture.revoke(publicClient, session.access)).status).toBe(200)
    expect(await neighbour.isLive(session.access)).toBe(true)
  })

  it('R138: an access token that has expired still names the session to end', async () => {
    const fixture = createFixture()
    const session = await fixture.session(publicClient)
    fixture.time.now += 1000
    expect((await fixture.revoke(publicClient, session.access)).status).toBe(200)
    expect(await outcome(await fixture.refresh(publicClient, session.refresh))).toBe('400 invalid_grant')
  })

  it('R138: a missing token is an invalid request', async () => {
    const response = await createFixture().revoke(publicClient, 'x', { token: undefined })
    expect(await outcome(response)).toBe('400 invalid_request')
  })

  it('R141: doing it twice is as good as once', async () => {
    const fixture = createFixture()
    const session = await fixture.session(publicClient)
    for (let time = 0; time < 2; time++) {
      expect((await fixture.revoke(publicClient, session.refresh)).status).toBe(200)
    }
    expect(fixture.events.filter(({ type }) => type === 'family_revoked')).toHaveLength(1)
  })

  it('R141: a token that has been rotated away still ends the session it came from', async () => {
    const fixture = createFixture()
    const session = await fixture.session(publicClient)
    const next = (await (await fixture.refresh(publicClient, session.refresh)).json()) as Body
    expect((await fixture.revoke(publicClient, session.refresh)).status).toBe(200)
    expect(await fixture.isLive(next.access_token!)).toBe(false)
    expect(await outcome(await fixture.refresh(publicClient, next.refresh_token!))).toBe('400 invalid_grant')
  })

  it.each(['before', 'after'])(
    'R141: a refresh that races, started %s the revocation, leaves no live token',
    async order => {
      const fixture = createFixture()
      const session = await fixture.session(publicClient)
      const revoke = () => fixture.revoke(publicClient, session.refresh)
      const refresh = () => fixture.refresh(publicClient, session.refresh)
      const [one, other] = await Promise.all(
        order === 'before' ? [refresh(), revoke()] : [revoke(), refresh()],
      )
      const refreshed = (await (order === 'before' ? one : other).json()) as Body
      if (refreshed.access_token) expect(await fixture.isLive(refreshed.access_token)).toBe(false)
      if (refreshed.refresh_token) {
        expect(await outcome(await fixture.refresh(publicClient, refreshed.refresh_token))).toBe(
          '400 invalid_grant',
        )
      }
      expect(await fixture.isLive(session.access)).toBe(false)
    },
  )

  it.each(
    (['findGrant', 'revokeGrant'] as const).flatMap(step =>
      (['access', 'refresh'] as const).map(kind => [step, kind] as const),
    ),
  )('R140: when the store cannot answer %s, revoking an %s token is 503, never 200', async (step, kind) => {
    let isDown = false
    const fixture = createFixture(
      {},
      (store: Store) =>
        new Proxy(store, {
          get: (target, name, receiver) =>
            isDown && name === step
              ? () => Promise.reject(new StoreUnavailableError('canary-reason'))
              : Reflect.get(target, name, receiver),
        }),
    )
    const session = await fixture.session(publicClient)
    isDown = true
    const response = await fixture.revoke(publicClient, session[kind])
    expect(response.headers.get('retry-after')).toBe('1')
    expect(await outcome(response)).toBe('503 temporarily_unavailable')
    isDown = false
    expect(await fixture.isLive(session.access)).toBe(true)
  })

  it('R140: when the key of an access token cannot be read, that is 503 and not an unknown token', async () => {
    const fixture = createFixture()
    const session = await fixture.session(publicClient)
    const starting = createFixture({
      store: new Proxy(fixture.store, {
        get: (target, name, receiver) =>
          name === 'listSigningKeys'
            ? () => Promise.reject(new StoreUnavailableError('canary-reason'))
            : Reflect.get(target, name, receiver),
      }),
    })
    expect(await outcome(await starting.revoke(publicClient, session.access))).toBe(
      '503 temporarily_unavailable',
    )
  })
})
