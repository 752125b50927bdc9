import { describe, expect, it } from 'vitest'
import {
  clientTypes,
  createFixture,
  type Fixture,
  otherClient,
  outcome,
  publicClient,
  redirectUri,
  resource,
  ringSecret,
  type TestClient,
} from '../authorization-server.fixture.ts'
import { StoreUnavailableError } from '../errors.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import type { Store } from '../storage/store.ts'

type Body = Record<string, string>
const rotate = async (fixture: Fixture, client: TestClient, token: string, change = {}): Promise<Body> => {
  const response = await fixture.refresh(client, token, change)
  expect(response.status).toBe(200)
  return (await response.json()) as Body
}

describe('refresh_token', () => {
  it.each(clientTypes)(
    'R104: 50 parallel uses by a $name client all get the same successor',
    async client => {
      const fixture = createFixture()
      const { refresh } = await fixture.session(client)
      const bodies = await Promise.all(Array.from({ length: 50 }, () => rotate(fixture, client, refresh)))
      for (const body of bodies) expect(body).toEqual(bodies[0])
      expect(bodies[0]!.refresh_token).not.toBe(refresh)
      expect(fixture.events.filter(({ type }) => type === 'token_rotated')).toHaveLength(1)
      expect(fixture.events.filter(({ type }) => type === 'token_replayed_in_grace')).toHaveLength(49)
      await rotate(fixture, client, bodies[0]!.refresh_token!)
    },
  )

  it.each(clientTypes)(
    'R103: a token two generations old, used by a $name client, ends the family',
    async client => {
      const fixture = createFixture()
      const { grantId, refresh, access } = await fixture.session(client)
      const first = await rotate(fixture, client, refresh)
      const second = await rotate(fixture, client, first.refresh_token!)
      expect(await outcome(await fixture.refresh(client, refresh))).toBe('400 invalid_grant')
      expect(await outcome(await fixture.refresh(client, second.refresh_token!))).toBe('400 invalid_grant')
      for (const token of [access, first.access_token!, second.access_token!]) {
        expect(await fixture.isLive(token)).toBe(false)
      }
      expect(fixture.events.map(({ type }) => type).slice(-2)).toEqual([
        'refresh_token_reused',
        'family_revoked',
      ])
      expect(fixture.events.at(-1)).toEqual({ type: 'family_revoked', grantId, by: 'refresh_token_reused' })
    },
  )

  it('R105: within the grace the previous token gets the identical reply, after it the family ends', async () => {
    const fixture = createFixture()
    const { refresh } = await fixture.session(publicClient)
    const first = await rotate(fixture, publicClient, refresh)
    fixture.time.now += 9
    expect(await rotate(fixture, publicClient, refresh)).toEqual(first)
    fixture.time.now += 1
    expect(await outcome(await fixture.refresh(publicClient, refresh))).toBe('400 invalid_grant')
    expect(await outcome(await fixture.refresh(publicClient, first.refresh_token!))).toBe('400 invalid_grant')
  })

  it('R105: the grace ends with the first use of the successor', async () => {
    const fixture = createFixture()
    const { refresh } = await fixture.session(publicClient)
    const first = await rotate(fixture, publicClient, refresh)
    await rotate(fixture, publicClient, first.refresh_token!)
    expect(await outcome(await fixture.refresh(publicClient, refresh))).toBe('400 invalid_grant')
  })

  it('R105: with a grace of 0 every reuse ends the family', async () => {
    const fixture = createFixture({ lifetimes: { refreshGraceSeconds: 0 } })
    const { refresh } = await fixture.session(publicClient)
    const first = await rotate(fixture, publicClient, refresh)
    expect(await outcome(await fixture.refresh(publicClient, refresh))).toBe('400 invalid_grant')
    expect(await fixture.isLive(first.access_token!)).toBe(false)
  })

  it('R107: another client in the grace gets nothing, and ends nothing', async () => {
    const fixture = createFixture()
    const { refresh } = await fixture.session(publicClient)
    const first = await rotate(fixture, publicClient, refresh)
    expect(await outcome(await fixture.refresh(otherClient, refresh))).toBe('400 invalid_grant')
    fixture.time.now += 60
    expect(await outcome(await fixture.refresh(otherClient, refresh))).toBe('400 invalid_grant')
    await rotate(fixture, publicClient, first.refresh_token!)
  })

  it.each([
    ['narrower', 'notes:read', 'notes:read'],
    ['in another order', 'notes:write notes:read', undefined],
    ['empty, which is absent', '', 'notes:read notes:write'],
  ])(
    'R108: a scope that is %s is granted, and a later refresh gets everything again',
    async (_, scope, expected) => {
      const fixture = createFixture()
      const { refresh } = await fixture.session(publicClient)
      const first = await rotate(fixture, publicClient, refresh, { scope })
      expect(first.scope!.split(' ').toSorted().join(' ')).toBe(expected ?? 'notes:read notes:write')
      const carried = await fixture.server.verifyAccessToken(first.access_token!, resource)
      expect(carried.scopes.join(' ')).toBe(first.scope)
      const second = await rotate(fixture, publicClient, first.refresh_token!)
      expect(second.scope).toBe('notes:read notes:write')
    },
  )

  it.each(['notes:read notes:delete', 'notes:delete', 'constructor', 'notes:read  notes:write "'])(
    'R108: more than was granted (%s) is invalid_scope, and uses nothing up',
    async scope => {
      const fixture = createFixture()
      const { refresh } = await fixture.session(publicClient)
      expect(await outcome(await fixture.refresh(publicClient, refresh, { scope }))).toBe('400 invalid_scope')
      await rotate(fixture, publicClient, refresh)
    },
  )

  it('R109: a scope that server or client have lost since is not in new tokens', async () => {
    const fixture = createFixture()
    const { refresh } = await fixture.session(publicClient, {
      scopes: ['notes:read', 'notes:write', 'notes:gone'],
    })
    const later = createFixture({
      store: fixture.store,
      clients: [{ clientId: 'public', redirectUris: [redirectUri], scopes: ['notes:write', 'notes:gone'] }],
    })
    expect((await rotate(later, publicClient, refresh)).scope).toBe('notes:write')
  })

  it('R109: a resource the server no longer has ends the refreshing', async () => {
    const fixture = createFixture()
    const { refresh } = await fixture.session(publicClient)
    const later = createFixture({ store: fixture.store, resources: ['https://mcp.example.com/moved'] })
    expect(await outcome(await fixture.refresh(publicClient, 'x'))).toBe('400 invalid_grant')
    expect(await outcome(await later.refresh(publicClient, refresh))).toBe('400 invalid_grant')
  })

  it('R110: the idle end slides with each use, and the absolute end does not move', async () => {
    const fixture = createFixture({ lifetimes: { refreshTokenSeconds: 100 } })
    let { refresh } = await fixture.session(publicClient, { endsAt: fixture.time.now + 250 })
    for (const wait of [90, 90]) {
      fixture.time.now += wait
      refresh = (await rotate(fixture, publicClient, refresh)).refresh_token!
    }
    fixture.time.now += 70
    expect(await outcome(await fixture.refresh(publicClient, refresh))).toBe('400 invalid_grant')
  })

  it('R110: a token nobody used for its idle time is over', async () => {
    const fixture = createFixture({ lifetimes: { refreshTokenSeconds: 100 } })
    const { refresh } = await fixture.session(publicClient)
    fixture.time.now += 100
    expect(await outcome(await fixture.refresh(publicClient, refresh))).toBe('400 invalid_grant')
  })

  it('R97: a guess with the right family id ends nothing and learns nothing', async () => {
    const fixture = createFixture()
    const { refresh } = await fixture.session(publicClient)
    const guess = refresh.slice(0, -4) + (refresh.endsWith('AAAA') ? 'BBBB' : 'AAAA')
    for (const change of [{}, { scope: 'notes:delete' }, { resource: 'https://evil.example' }]) {
      expect(await outcome(await fixture.refresh(publicClient, guess, change))).toBe('400 invalid_grant')
    }
    await rotate(fixture, publicClient, refresh)
  })

  it('R178: a token made under an older secret of the ring is rotated like any other', async () => {
    const fixture = createFixture()
    const { refresh } = await fixture.session(publicClient)
    const fresh = 'canary-new-secret-0123456789-0123456789-x'
    const rotated = createFixture({ store: fixture.store, secrets: createSecretRing([fresh, ringSecret]) })
    const { refresh_token: next } = await rotate(rotated, publicClient, refresh)
    expect(next).not.toBe(refresh)
  })

  it('R164: a rotation whose reply was lost is 503, and the client that tries again goes on', async () => {
    let isLost = false
    const fixture = createFixture(
      {},
      store =>
        new Proxy(store, {
          get: (target, name, receiver) =>
            isLost && name === 'rotateRefreshToken'
              ? async (step: Parameters<Store['rotateRefreshToken']>[0]) => {
                  await target.rotateRefreshToken(step)
                  throw new StoreUnavailableError('reply lost')
                }
              : Reflect.get(target, name, receiver),
        }),
    )
    const { refresh } = await fixture.session(publicClient)
    isLost = true
    expect(await outcome(await fixture.refresh(publicClient, refresh))).toBe('503 temporarily_unavailable')
    isLost = false
    const again = await rotate(fixture, publicClient, refresh)
    await rotate(fixture, publicClient, again.refresh_token!)
  })

  it('a missing token is said to be missing', async () => {
    const response = await createFixture().refresh(publicClient, 'x', { refresh_token: undefined })
    expect(await outcome(response)).toBe('400 invalid_request')
  })
})
