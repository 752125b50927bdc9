import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import {
  createFixture,
  type Fixture,
  issuer,
  otherClient,
  outcome,
  publicClient,
  resource,
  type TestClient,
} from './authorization-server.fixture.ts'
import { createFileStore } from './storage/file-store.ts'
import { createMemoryStore } from './storage/memory-store.ts'
import type { Store } from './storage/store.ts'

const ada = { userId: 'ada' }
const bob = { userId: 'bob' }

/** A session whose refresh token was rotated just now, so that the one before is in its grace. */
async function rotatedSession(fixture: Fixture, client: TestClient, user: { userId: string }) {
  const { grantId, code, access, refresh: previous } = await fixture.session(client, user)
  const body = (await (await fixture.refresh(client, previous)).json()) as Record<string, string>
  return {
    client,
    grantId,
    usedCode: code,
    access: { first: access, latest: body.access_token! },
    refresh: { previous, current: body.refresh_token! },
  }
}
type Session = Awaited<ReturnType<typeof rotatedSession>>

/** Kind of token → whether one of this session still does anything. Looking costs the session nothing it needs. */
const kinds: Record<string, (fixture: Fixture, session: Session) => Promise<boolean>> = {
  'the first access token': (fixture, { access }) => fixture.isLive(access.first),
  'the latest access token': (fixture, { access }) => fixture.isLive(access.latest),
  'the refresh token before, within its grace': async (fixture, { client, refresh }) =>
    (await outcome(await fixture.refresh(client, refresh.previous))) === '200',
  'the current refresh token': async (fixture, { client, refresh }) =>
    (await outcome(await fixture.refresh(client, refresh.current))) === '200',
}

/** Way to revoke → how, and which other sessions it ends with this one. */
const ways: Record<
  string,
  {
    revoke: (fixture: Fixture, session: Session) => Promise<unknown>
    ends?: (client: TestClient, user: { userId: string }) => boolean
  }
> = {
  'the client revokes its refresh token': {
    revoke: (fixture, { client, refresh }) => fixture.revoke(client, refresh.current),
  },
  'the client revokes a refresh token that was rotated away': {
    revoke: (fixture, { client, refresh }) => fixture.revoke(client, refresh.previous),
  },
  'the client revokes its access token': {
    revoke: (fixture, { client, access }) => fixture.revoke(client, access.latest),
  },
  'the code is redeemed a second time': {
    revoke: (fixture, { client, usedCode }) => fixture.redeem(client, usedCode),
  },
  'a refresh token is used after its grace': {
    async revoke(fixture, { client, refresh }) {
      fixture.time.now += 10
      await fixture.refresh(client, refresh.previous)
    },
  },
  'admin.revokeGrant': { revoke: (fixture, { grantId }) => fixture.server.admin.revokeGrant(grantId) },
  'admin.revokeUser': {
    revoke: fixture => fixture.server.admin.revokeUser('ada'),
    ends: (_, { userId }) => userId === 'ada',
  },
  'admin.disableUser': {
    revoke: fixture => fixture.server.admin.disableUser('ada'),
    ends: (_, { userId }) => userId === 'ada',
  },
  'admin.revokeClient': {
    revoke: fixture => fixture.server.admin.revokeClient(publicClient.clientId),
    ends: client => client === publicClient,
  },
  'admin.revokeAll': { revoke: fixture => fixture.server.admin.revokeAll(), ends: () => true },
}

const close: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const step of close.splice(0).reverse()) await step()
})

const stores: Record<string, () => Store> = {
  memory: () => createMemoryStore(),
  file: () => {
    const directory = mkdtempSync(join(tmpdir(), 'sallyport-admin-'))
    const store = createFileStore({ directory })
    close.push(() => rmSync(directory, { recursive: true }))
    close.push(() => store.close())
    return store
  },
}

describe.each(Object.entries(stores))(
  'R139, R141: every way to revoke × every kind of token, %s store',
  (_, open) => {
    const setUp = () => {
      const fixture = createFixture({ store: open() })
      close.push(() => fixture.server.close())
      return fixture
    }

    it.each(Object.keys(ways).flatMap(way => Object.keys(kinds).map(kind => [way, kind] as const)))(
      '%s: %s is dead',
      async (way, kind) => {
        const fixture = setUp()
        const session = await rotatedSession(fixture, publicClient, ada)
        // It was alive, and in the cache of the verifier.
        expect(await kinds['the latest access token']!(fixture, session)).toBe(true)
        await ways[way]!.revoke(fixture, session)
        expect(await kinds[kind]!(fixture, session)).toBe(false)
      },
    )

    it.each(Object.entries(ways))(
      '%s: it ends as many sessions as it says, and no others',
      async (_, way) => {
        const fixture = setUp()
        const session = await rotatedSession(fixture, publicClient, ada)
        const others = [
          [publicClient, ada],
          [otherClient, ada],
          [publicClient, bob],
          [otherClient, bob],
        ] as const
        const sessions = await Promise.all(
          others.map(([client, user]) => rotatedSession(fixture, client, user)),
        )
        await way.revoke(fixture, session)
        for (const [i, [client, user]] of others.entries()) {
          const isEnded = way.ends?.(client, user) ?? false
          for (const [kind, isAlive] of Object.entries(kinds)) {
            // Two refreshes of one session: the first to come uses up the grace of the other.
            if (kind.includes('grace')) continue
            expect(await isAlive(fixture, sessions[i]!), `${kind} of ${user.userId}`).toBe(!isEnded)
          }
        }
      },
    )

    it.each([
      ['revokeUser', (fixture: Fixture) => fixture.server.admin.revokeUser('ada')],
      ['disableUser', (fixture: Fixture) => fixture.server.admin.disableUser('ada')],
      ['revokeClient', (fixture: Fixture) => fixture.server.admin.revokeClient(publicClient.clientId)],
      ['revokeAll', (fixture: Fixture) => fixture.server.admin.revokeAll()],
    ])('%s: a code that nobody has redeemed yet is dead too', async (_, revoke) => {
      const fixture = setUp()
      const { code } = await fixture.placeCode(publicClient, ada)
      expect(await revoke(fixture)).toBe(1)
      expect(await outcome(await fixture.redeem(publicClient, code))).toMatch(/invalid_(grant|client)/)
    })
  },
)

describe('R72: an operator sees what there is', () => {
  it('sessions of a user, newest first, and nothing that opens anything', async () => {
    const fixture = createFixture()
    const { time } = fixture
    const first = await fixture.session(publicClient, {
      ...ada,
      clientName: 'Example',
      scopes: ['notes:read'],
    })
    time.now += 100
    const second = await fixture.session(otherClient, ada)
    time.now += 50
    await fixture.refresh(publicClient, first.refresh)
    await fixture.session(publicClient, bob)
    const listed = await fixture.server.admin.listGrants('ada')
    expect(listed).toEqual([
      {
        grantId: second.grantId,
        clientId: 'other',
        clientName: undefined,
        resource,
        scopes: ['notes:read', 'notes:write'],
        createdAt: time.now - 50,
        lastUsedAt: time.now - 50,
        endsAt: time.now - 50 + 86_400,
      },
      {
        grantId: first.grantId,
        clientId: 'public',
        clientName: 'Example',
        resource,
        scopes: ['notes:read'],
        createdAt: time.now - 150,
        lastUsedAt: time.now,
        endsAt: time.now + 86_400,
      },
    ])
    const { code } = (await fixture.store.findGrant({ id: first.grantId, now: time.now }))!
    expect(JSON.stringify(listed)).not.toContain(code.hash)
  })

  it('a code that waits to be redeemed ends with the code', async () => {
    const fixture = createFixture()
    await fixture.placeCode(publicClient, ada)
    expect(await fixture.server.admin.listGrants('ada')).toMatchObject([
      { lastUsedAt: fixture.time.now, endsAt: fixture.time.now + 600 },
    ])
  })

  it('connections with how they do and without what is sealed in them, and forgets one of them', async () => {
    const fixture = createFixture()
    const { admin } = fixture.server
    const { now } = fixture.time
    const record = {
      version: 1,
      userId: 'ada',
      account: 'default',
      writtenBy: 'test',
      state: 'active',
      scopes: ['calendar'],
      sealed: 'canary-sealed',
      accessEndsAt: now + 3600,
      updatedAt: now,
      expiresAt: now + 86_400,
      failure: { errorClass: 'rate_limited', at: now, count: 3, nextAttemptAt: now + 20 },
    } as const
    for (const provider of ['google', 'linkedin']) {
      await fixture.store.putConnection({ record: { ...record, scopes: ['calendar'], provider }, now })
    }
    const listed = await admin.listConnections('ada')
    expect(listed[0]).toEqual({
      provider: 'google',
      account: 'default',
      isDefault: true,
      state: 'degraded',
      scopes: ['calendar'],
      missingScopes: [],
      lastSuccessAt: now,
      lastErrorClass: 'rate_limited',
      lastErrorAt: now,
      nextAttemptAt: now + 20,
      consentEndsAt: undefined,
      updatedAt: now,
      endsAt: now + 86_400,
    })
    expect(JSON.stringify(listed)).not.toContain('canary')
    expect(await admin.deleteConnection('ada', 'google')).toBe(true)
    expect(await admin.deleteConnection('ada', 'google')).toBe(false)
    expect(await admin.deleteConnection('bob', 'linkedin')).toBe(false)
    expect((await admin.listConnections('ada')).map(({ provider }) => provider)).toEqual(['linkedin'])
    expect(fixture.events).toEqual([
      {
        type: 'connection_ended',
        userId: 'ada',
        provider: 'google',
        account: 'default',
        by: 'administrator',
      },
    ])
  })

  it('how much of everything there is', async () => {
    const fixture = createFixture()
    await fixture.session(publicClient, ada)
    await fixture.server.admin.revokeGrant((await fixture.session(publicClient, bob)).grantId)
    expect(await fixture.server.admin.stats()).toEqual({
      grants: 1,
      grantsWithAccess: 1,
      connections: { active: 0, dead: 0 },
      pendingAuthorizations: 0,
      signingKeys: 1,
    })
  })
})

describe('what an operator ends', () => {
  it('is said to be ended by an administrator, session by session', async () => {
    const fixture = createFixture()
    const { admin } = fixture.server
    const open = async (user: { userId: string }) => (await fixture.session(publicClient, user)).grantId
    const last = (count: number) => fixture.events.slice(-count)
    const by = 'administrator'
    const ended = (grantId: string, who = by) => ({ type: 'family_revoked', grantId, by: who })

    const one = await open(ada)
    expect(await admin.revokeGrant(one)).toBe(true)
    expect(last(1)).toEqual([ended(one)])
    const count = fixture.events.length
    expect([await admin.revokeGrant(one), await admin.revokeGrant('unknown')]).toEqual([false, false])
    expect(await admin.revokeUser('ada')).toBe(0)
    expect(fixture.events).toHaveLength(count)

    const two = [await open(ada), await open(ada)]
    expect(await admin.revokeUser('ada')).toBe(2)
    expect(last(2)).toEqual(two.map(id => ended(id)))

    const three = await open(ada)
    await admin.disableUser('ada')
    expect(last(2)).toEqual([{ type: 'user_disabled', userId: 'ada', by }, ended(three)])
    await admin.enableUser('ada')
    expect(last(1)).toEqual([{ type: 'user_enabled', userId: 'ada', by }])

    const four = await open(bob)
    expect(await admin.revokeAll()).toBe(1)
    expect(last(2)).toEqual([{ type: 'tenant_revoked', by }, ended(four, 'tenant')])

    const five = await open(bob)
    expect(await admin.revokeClient('public')).toBe(1)
    expect(last(2)).toEqual([
      { type: 'client_deleted', clientIdHash: expect.stringMatching(/^[\w-]{43}$/), by },
      ended(five),
    ])
  })

  it('R141: more sessions than one page holds are all ended', async () => {
    const fixture = createFixture()
    for (let i = 0; i < 1_200; i++) await fixture.placeCode(publicClient, i % 2 ? ada : bob)
    expect(await fixture.server.admin.revokeUser('ada')).toBe(600)
    expect(await fixture.server.admin.revokeAll()).toBe(600)
    expect(await fixture.server.admin.stats()).toMatchObject({ grants: 0 })
  })

  it('R21: a client that was deleted is unknown for good, whatever it registered', async () => {
    const fixture = createFixture()
    const session = await fixture.session(publicClient, ada)
    await fixture.server.admin.revokeClient('public')
    fixture.time.now += 50 * 365 * 86_400
    expect(await outcome(await fixture.refresh(publicClient, session.refresh))).toBe('401 invalid_client')
    const page = await fixture.server.handle(new Request(`${issuer}/oauth/authorize?client_id=public`))
    expect(page!.status).toBe(400)
    expect(await page!.text()).toContain('not known here')
  })

  it('R109: a disabled user gets no token for a code or refresh token that was not ended with the others', async () => {
    const fixture = createFixture()
    const session = await fixture.session(publicClient, ada)
    const { code } = await fixture.placeCode(publicClient, ada)
    // As if both had been opened while the sessions were being ended.
    await fixture.store.putDisabledUser({ ...ada, expiresAt: fixture.time.now + 10, now: fixture.time.now })
    expect(await outcome(await fixture.refresh(publicClient, session.refresh))).toBe('400 invalid_grant')
    expect(await outcome(await fixture.redeem(publicClient, code))).toBe('400 invalid_grant')
    await fixture.server.admin.enableUser('ada')
    expect(await outcome(await fixture.refresh(publicClient, session.refresh)), 'nothing was used up').toBe(
      '200',
    )
    expect(await outcome(await fixture.redeem(publicClient, code))).toBe('200')
  })
})
