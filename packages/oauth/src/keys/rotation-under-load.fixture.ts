import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { expect } from 'vitest'
import { placeCode, publicClient } from '../authorization-server.fixture.ts'
import type { FleetProcess, FleetSettings } from '../fleet.fixture.ts'
import { systemRandom } from '../runtime.ts'
import type { Store } from '../storage/store.ts'
import { rekey } from './rekey.ts'
import { connectionSealContext } from './seal-context.ts'
import { createSealer } from './sealer.ts'
import { createSecretRing } from './secret-ring.ts'

const older = 'an older secret, long enough to be one'
const newer = 'a newer secret, long enough to be one!'
const hour = 3600

/** One server of a fleet, in this process or in one of its own. */
export type Instance = Pick<
  FleetProcess,
  'redeem' | 'refresh' | 'verify' | 'getJwks' | 'setTime' | 'events' | 'close'
>
export type InstanceSettings = Required<Omit<FleetSettings, 'redis'>>

/** A session of a client; it sends every request to whichever instance comes next. */
interface Session {
  refresh: string
  /** Access tokens that have not ended. */
  live: { value: string; endsAt: number }[]
}

/**
 * Two servers on one store live through forty hours: both secrets of the ring change one after the other, signing keys
 * come and go, clients never stop asking, and no request fails.
 *
 * @param store the test's own way to what the instances share
 */
export async function expectRotationWithoutFailure(
  store: Store,
  start: (settings: InstanceSettings) => Promise<Instance>,
): Promise<void> {
  let now = 1_900_000_000
  const fleet: Instance[] = []
  /** Instances that get no new requests, and end when they have answered the old ones. */
  const draining: Instance[] = []
  const events: string[] = []

  /** As a deployment does: the instances are replaced one after the other. */
  const deploy = async (index: number, secrets: string[]) => {
    const before = fleet[index]
    fleet[index] = await start({
      secrets,
      startAt: now,
      // A key for half a day, published an hour ahead; access tokens live for an hour, so some are always live.
      signingKeyRotation: {
        publishAheadSeconds: hour,
        rotateAfterSeconds: 12 * hour,
        tokenSeconds: hour,
      },
      lifetimes: { accessTokenSeconds: hour },
    })
    if (before) draining.push(before)
  }
  const stop = async (instances: Instance[]) => {
    for (const instance of instances.splice(0)) {
      for (const { type } of await instance.events()) events.push(type)
      await instance.close()
    }
  }

  let turn = 0
  const anyInstance = () => fleet[turn++ % fleet.length]!
  const receive = (session: Session, { status, body }: Awaited<ReturnType<Instance['refresh']>>) => {
    expect([status, body.error]).toEqual([200, undefined])
    session.refresh = body.refresh_token!
    session.live.push({ value: body.access_token!, endsAt: now + Number(body.expires_in) })
  }
  const openSession = async (): Promise<Session> => {
    const { code } = await placeCode(store, publicClient, now, { endsAt: 0 })
    const session: Session = { refresh: '', live: [] }
    receive(session, await anyInstance().redeem(publicClient, code))
    return session
  }
  const refresh = async (session: Session) =>
    receive(session, await anyInstance().refresh(publicClient, session.refresh))

  /** The JWKS document as another resource server keeps it: for five minutes, whatever happens. */
  let cached: { document: JSONWebKeySet; fetchedAt: number } | undefined
  const fetchJwks = async () => {
    if (cached && now - cached.fetchedAt < 300) return
    cached = { document: (await anyInstance().getJwks()) as JSONWebKeySet, fetchedAt: now }
  }
  const liveKids = ({ live }: Session) => live.map(({ value }) => decodeProtectedHeader(value).kid!)
  const verifyEverywhere = async ({ live }: Session) => {
    const keys = createLocalJWKSet(cached!.document)
    for (const { value } of live) {
      const states = await Promise.all(fleet.map(async one => (await one.verify(value)).state))
      expect(states).toEqual(['live', 'live'])
      await jwtVerify(value, keys, { currentDate: new Date(now * 1000) })
    }
  }

  const connection = { userId: 'user', provider: 'google', account: 'default' }
  const context = connectionSealContext(store.tenant, connection)
  const sealerOf = (secrets: string[]) => createSealer(createSecretRing(secrets), systemRandom)
  const reseal = async () => {
    const sealer = sealerOf([newer, older])
    const { connections, signingKeys } = await rekey({ store, sealer, clock: () => now })
    expect([connections, signingKeys.unreadable]).toEqual([{ resealed: 1, current: 0, unreadable: 0 }, 0])
  }
  /** When which instance gets which ring: the new secret opens everywhere before it seals anywhere. */
  const deployments = new Map<number, () => Promise<unknown>>([
    [24, () => deploy(0, [older, newer])],
    [28, () => deploy(1, [older, newer])],
    [60, () => deploy(0, [newer, older])],
    [80, () => deploy(1, [newer, older])],
    [110, reseal],
    [130, () => deploy(0, [newer])],
    [135, () => deploy(1, [newer])],
  ])

  try {
    await deploy(0, [older])
    await deploy(1, [older])
    await store.putConnection({
      record: {
        version: 1,
        ...connection,
        writtenBy: 'test',
        state: 'active',
        scopes: [],
        sealed: sealerOf([older]).seal('external tokens', context),
        accessEndsAt: 0,
        updatedAt: now,
        expiresAt: now + 90 * 86_400,
      },
      now,
    })
    const sessions = await Promise.all(Array.from({ length: 4 }, openSession))
    const kids = new Set<string>()
    let roundsWithTwoKeys = 0
    // Forty hours in steps of fifteen minutes: keys come at 11 h and about every 12 h from then on.
    for (let round = 0; round < 160; round++) {
      now += 900
      await Promise.all(fleet.map(one => one.setTime(now)))
      for (const session of sessions) session.live = session.live.filter(({ endsAt }) => endsAt > now)
      await Promise.all([
        deployments.get(round)?.(),
        fetchJwks(),
        ...sessions.map(refresh),
        ...(round % 40 === 0 ? [openSession().then(session => void sessions.push(session))] : []),
      ])
      await stop(draining)
      await Promise.all(sessions.map(verifyEverywhere))
      for (const kid of sessions.flatMap(liveKids)) kids.add(kid)
      if (new Set(sessions.flatMap(liveKids)).size > 1) roundsWithTwoKeys++
    }
    expect(roundsWithTwoKeys, 'old tokens beside new ones').toBeGreaterThan(0)
    expect(kids.size, 'keys that signed').toBeGreaterThanOrEqual(4)
    const [first] = kids
    expect(cached!.document.keys.map(({ kid }) => kid)).not.toContain(first)
  } finally {
    await stop(draining)
    await stop(fleet)
  }

  expect(events).toEqual(expect.arrayContaining(['signing_key_created', 'signing_key_retired']))
  const troubles = ['store_unavailable', 'record_unreadable', 'request_failed', 'refresh_token_reused']
  expect(events.filter(type => troubles.includes(type))).toEqual([])
  const { sealed } = (await store.findConnection({ ...connection, now }))!
  expect(sealerOf([newer]).open(sealed, context)).toEqual({ plaintext: 'external tokens', stale: false })
  for (const key of await store.listSigningKeys({ now })) {
    expect(key.sealed.split('.')[1]).toBe(createSecretRing([newer]).keyIds[0])
  }
}
