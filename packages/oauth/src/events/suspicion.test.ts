import { describe, expect, it } from 'vitest'
import { createFixture, issuer, postClient, publicClient, verifier } from '../authorization-server.fixture.ts'
import type { EventStamp, RecordedEvent, SallyportEvent } from '../events.ts'
import { createSuspicionSink } from './suspicion.ts'

const hash = (name: string) => name.padEnd(43, '_')

function watch() {
  const found: SallyportEvent[] = []
  const sink = createSuspicionSink(event => void found.push(event))
  let at = 1_800_000_000
  const see = (event: SallyportEvent, stamp: Partial<EventStamp> & { after?: number } = {}) => {
    at += stamp.after ?? 0
    sink({ at, ...(stamp.sourceHash && { sourceHash: stamp.sourceHash }), ...event } as RecordedEvent)
  }
  const failure = (client: string, source?: string, after = 0) =>
    see(
      { type: 'client_authentication_failed', clientIdHash: hash(client) },
      { after, ...(source && { sourceHash: hash(source) }) },
    )
  const rotation = (grantId: string, source?: string, after = 0) =>
    see(
      { type: 'token_rotated', grantId, userId: 'u', clientIdHash: hash('c') },
      { after, ...(source && { sourceHash: hash(source) }) },
    )
  const kinds = () => found.map(event => (event.type === 'suspicious_activity' ? event.kind : event.type))
  return { found, failure, rotation, kinds, see }
}

describe('createSuspicionSink', () => {
  it('many failed authentications of one client are told, once for each ten', () => {
    const { found, failure } = watch()
    for (let i = 0; i < 9; i++) failure('c')
    expect(found).toEqual([])
    failure('c')
    const told = {
      type: 'suspicious_activity',
      kind: 'many_failed_client_authentications',
      clientIdHash: hash('c'),
    }
    expect(found).toEqual([told])
    for (let i = 0; i < 10; i++) failure('c')
    expect(found).toEqual([told, told])
  })

  it('many failures from one source are told, whichever clients they are for', () => {
    const { found, failure } = watch()
    for (let i = 0; i < 10; i++) failure(`c${i}`, 'attacker')
    expect(found).toEqual([{ type: 'suspicious_activity', kind: 'many_failed_client_authentications' }])
  })

  it('failures now and then are no attack', () => {
    const { found, failure } = watch()
    for (let i = 0; i < 100; i++) failure('c', 's', 7)
    expect(found).toEqual([])
  })

  it('a session that is refreshed from two sources at once is told, once a minute', () => {
    const { found, rotation } = watch()
    rotation('g', 'home')
    rotation('g', 'attacker', 5)
    rotation('g', 'home', 5)
    expect(found).toEqual([
      {
        type: 'suspicious_activity',
        kind: 'refresh_from_two_sources',
        grantId: 'g',
        clientIdHash: hash('c'),
      },
    ])
    for (let i = 0; i < 3; i++) rotation('g', i % 2 === 0 ? 'attacker' : 'home', 20)
    expect(found).toHaveLength(2)
  })

  it('a user who moves from one network to another is no attack, nor are two users', () => {
    const { found, rotation } = watch()
    rotation('g', 'home')
    rotation('g', 'office', 900)
    rotation('other', 'home', 1)
    rotation('third', undefined, 1)
    rotation('third', undefined, 1)
    expect(found).toEqual([])
  })

  it('a session that is refreshed far too often is told', () => {
    const { kinds, rotation } = watch()
    for (let i = 0; i < 10; i++) rotation('g', undefined, 1)
    expect(kinds()).toEqual(['unusual_refresh_rate'])
    for (let i = 0; i < 100; i++) rotation('calm', undefined, 10)
    expect(kinds()).toEqual(['unusual_refresh_rate'])
  })

  it('what it tells makes it tell nothing more', () => {
    const found: SallyportEvent[] = []
    const sink = createSuspicionSink(event => {
      found.push(event)
      sink({ ...event, at: 1_800_000_000 })
    })
    sink({ type: 'code_replayed', grantId: 'g', userId: 'u', clientIdHash: hash('c'), at: 1_800_000_000 })
    expect(found).toHaveLength(1)
  })
})

describe('an authorization server', () => {
  const withEvents = () => {
    const events: RecordedEvent[] = []
    const fixture = createFixture({ onEvent: event => void events.push(event) })
    return { ...fixture, events }
  }
  const refreshFrom = (fixture: ReturnType<typeof withEvents>, token: string, remoteAddress: string) =>
    fixture.post(
      '/oauth/token',
      { grant_type: 'refresh_token', refresh_token: token, ...publicClient.body },
      {},
      remoteAddress,
    )

  it('R191: reuse is told with everything that follows from it, under the id of one request', async () => {
    const fixture = withEvents()
    const { refresh, grantId } = await fixture.session(publicClient)
    const second = (await (await refreshFrom(fixture, refresh, '198.51.100.7')).json()) as {
      refresh_token: string
    }
    await refreshFrom(fixture, second.refresh_token, '198.51.100.7')
    fixture.time.now += 3_600
    fixture.events.length = 0
    await refreshFrom(fixture, refresh, '203.0.113.9')
    const { requestId, sourceHash } = fixture.events[0]!
    expect(requestId).toEqual(expect.any(String))
    expect(sourceHash).toMatch(/^[\w-]{43}$/)
    const stamp = { at: fixture.time.now, requestId, sourceHash }
    expect(fixture.events).toEqual(
      [
        { type: 'refresh_token_reused', grantId },
        { type: 'suspicious_activity', kind: 'refresh_token_reused', grantId },
        { type: 'family_revoked', grantId, by: 'refresh_token_reused' },
      ].map(event => expect.objectContaining({ ...stamp, ...event })),
    )
  })

  it('R191: two addresses on one session are told apart by hashes, and no address is in any event', async () => {
    const fixture = withEvents()
    const { refresh } = await fixture.session(publicClient)
    const second = (await (await refreshFrom(fixture, refresh, '198.51.100.7')).json()) as {
      refresh_token: string
    }
    await refreshFrom(fixture, second.refresh_token, '2001:db8:1:2::9')
    expect(fixture.events).toContainEqual(
      expect.objectContaining({ type: 'suspicious_activity', kind: 'refresh_from_two_sources' }),
    )
    expect(new Set(fixture.events.flatMap(({ sourceHash }) => sourceHash ?? [])).size).toBe(2)
    expect(JSON.stringify(fixture.events)).not.toMatch(/198\.51|2001:db8/)
  })

  it('R191: each action of a session is told', async () => {
    const fixture = withEvents()
    await fixture.post('/oauth/register', JSON.stringify({ redirect_uris: ['https://c.example/cb'] }), {
      'Content-Type': 'application/json',
    })
    const { refresh, code } = await fixture.session(publicClient)
    await refreshFrom(fixture, refresh, '198.51.100.7')
    await refreshFrom(fixture, refresh, '198.51.100.7')
    await fixture.redeem(publicClient, code)
    const other = await fixture.session(publicClient)
    await fixture.revoke(publicClient, other.refresh)
    await fixture.refresh({ ...postClient, body: { client_id: 'post', client_secret: 'wrong' } }, refresh)
    await fixture.server.admin.revokeClient('other')
    expect(fixture.events.map(({ type }) => type)).toEqual([
      'client_registered',
      'signing_key_created',
      'token_issued',
      'token_rotated',
      'token_replayed_in_grace',
      'code_replayed',
      'suspicious_activity',
      'family_revoked',
      'token_issued',
      'family_revoked',
      'client_authentication_failed',
      'client_deleted',
    ])
    const ids = fixture.events.map(({ requestId }) => requestId)
    // What an administrator does is no request.
    expect(ids.at(-1)).toBeUndefined()
    expect(new Set(ids.filter(Boolean)).size).toBe(8)
  })

  it('R188: codes, tokens, secrets, state and addresses of clients are in no event', async () => {
    const fixture = withEvents()
    const { refresh, code, access } = await fixture.session(publicClient)
    await refreshFrom(fixture, refresh, '198.51.100.7')
    await fixture.redeem(publicClient, code)
    const hostile = '\n{"type":"forged"}\u001b[31m'
    await fixture.post('/oauth/token', {
      grant_type: 'refresh_token',
      refresh_token: hostile,
      client_id: hostile,
      client_secret: 'canary-secret',
    })
    await fixture.server.handle(new Request(`${issuer}/oauth/authorize?client_id=public&state=canary-state`))
    const told = JSON.stringify(fixture.events)
    expect(fixture.events.length).toBeGreaterThan(5)
    for (const secret of [refresh, code, access, verifier, 'canary', 'forged', 'client.example']) {
      expect(told).not.toContain(secret)
    }
  })
})
