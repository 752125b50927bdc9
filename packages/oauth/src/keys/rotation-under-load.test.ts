import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  challenge,
  issuer,
  pageLogin,
  redirectUri,
  resource,
  verifier,
} from '../authorization-server.fixture.ts'
import { type AuthorizationServer, createAuthorizationServer } from '../authorization-server.ts'
import type { SallyportEvent } from '../events.ts'
import { systemRandom } from '../runtime.ts'
import { createFileStore } from '../storage/file-store.ts'
import type { Store } from '../storage/store.ts'
import { mintAuthorizationCode, newGrantId } from '../tokens/token-value.ts'
import { rekey } from './rekey.ts'
import { connectionSealContext } from './seal-context.ts'
import { createSealer } from './sealer.ts'
import { createSecretRing } from './secret-ring.ts'

const older = 'an older secret, long enough to be one'
const newer = 'a newer secret, long enough to be one!'
const clientId = 'client'
const hour = 3600

/** One server of the fleet, with a store of its own over the one file. */
interface Instance {
  server: AuthorizationServer
  store: Store
  stop(): Promise<void>
}
/** A session of a client; it sends every request to whichever instance comes next. */
interface Session {
  refresh: string
  /** Access tokens that have not ended. */
  live: { value: string; endsAt: number }[]
}

let now: number
let directory: string
let events: SallyportEvent[]
let fleet: Instance[]

const startInstance = async (secrets: string[]): Promise<Instance> => {
  const store = createFileStore({ directory })
  const server = createAuthorizationServer({
    issuer,
    serverName: 'Notes',
    resources: [resource],
    scopes: { 'notes:read': 'Read your notes' },
    defaultScopes: ['notes:read'],
    store,
    secrets: createSecretRing(secrets),
    signIn: pageLogin,
    clients: [{ clientId, redirectUris: [redirectUri] }],
    // A key for half a day, published an hour ahead; access tokens live for an hour, so some are always live.
    signingKeyRotation: { publishAheadSeconds: hour, rotateAfterSeconds: 12 * hour, tokenSeconds: hour },
    lifetimes: { accessTokenSeconds: hour },
    onEvent: event => events.push(event),
    clock: () => now,
  })
  await server.start()
  const stop = async () => {
    await server.close()
    await store.close()
  }
  return { server, store, stop }
}
/** Instances that get no new requests, and end when they have answered the old ones. */
let draining: Instance[]
/** As a deployment does: the instances are replaced one after the other. */
const deploy = async (index: number, secrets: string[]) => {
  const before = fleet[index]
  fleet[index] = await startInstance(secrets)
  if (before) draining.push(before)
}
const stopDrained = async () => {
  for (const instance of draining.splice(0)) await instance.stop()
}

let turn = 0
const anyInstance = () => fleet[turn++ % fleet.length]!
const requestTokens = async (session: Session, parameters: Record<string, string>) => {
  const response = await anyInstance().server.handle(
    new Request(`${issuer}/oauth/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ client_id: clientId, ...parameters }).toString(),
    }),
  )
  expect(response?.status).toBe(200)
  const body = (await response!.json()) as Record<string, string>
  session.refresh = body.refresh_token!
  session.live.push({ value: body.access_token!, endsAt: now + Number(body.expires_in) })
}
const openSession = async (): Promise<Session> => {
  const id = newGrantId(systemRandom)
  const code = mintAuthorizationCode(systemRandom, id)
  await anyInstance().store.putGrant({
    record: {
      version: 1,
      id,
      userId: 'user',
      clientId,
      redirectUri,
      resource,
      scopes: ['notes:read'],
      authTime: now,
      amr: [],
      createdAt: now,
      endsAt: 0,
      accessEndsAt: 0,
      code: { hash: code.hash, challenge, expiresAt: now + 600, failures: 0 },
    },
    now,
  })
  const session: Session = { refresh: '', live: [] }
  await requestTokens(session, {
    grant_type: 'authorization_code',
    code: code.value,
    code_verifier: verifier,
  })
  return session
}
const refresh = (session: Session) =>
  requestTokens(session, { grant_type: 'refresh_token', refresh_token: session.refresh })

/** The JWKS document as another resource server keeps it: for five minutes, whatever happens. */
let cached: { document: JSONWebKeySet; fetchedAt: number } | undefined
const publishedKids = () => cached!.document.keys.map(({ kid }) => kid)
const fetchJwks = async () => {
  if (cached && now - cached.fetchedAt < 300) return
  const response = await anyInstance().server.handle(new Request(`${issuer}/oauth/jwks`))
  expect(response?.status).toBe(200)
  cached = { document: (await response!.json()) as JSONWebKeySet, fetchedAt: now }
}
const liveKids = ({ live }: Session) => live.map(({ value }) => decodeProtectedHeader(value).kid!)
const verifyEverywhere = async ({ live }: Session) => {
  for (const { value } of live) {
    for (const { server } of fleet) await server.verifyAccessToken(value, resource)
    await jwtVerify(value, createLocalJWKSet(cached!.document), { currentDate: new Date(now * 1000) })
  }
}

beforeEach(() => {
  now = 1_900_000_000
  directory = mkdtempSync(join(tmpdir(), 'sallyport-rotation-'))
  events = []
  fleet = []
  draining = []
  cached = undefined
})
afterEach(async () => {
  for (const instance of [...fleet, ...draining]) await instance.stop()
  rmSync(directory, { recursive: true })
})

it('R174, R178: two servers on one store change the secret and the signing key under load, and no request fails', async () => {
  await deploy(0, [older])
  await deploy(1, [older])
  const connection = { userId: 'user', provider: 'google', account: 'default' }
  const context = connectionSealContext('default', connection)
  await fleet[0]!.store.putConnection({
    record: {
      version: 1,
      ...connection,
      writtenBy: 'test',
      state: 'active',
      scopes: [],
      sealed: createSealer(createSecretRing([older]), systemRandom).seal('external tokens', context),
      accessEndsAt: 0,
      updatedAt: now,
      expiresAt: now + 90 * 86_400,
    },
    now,
  })
  const sessions = await Promise.all(Array.from({ length: 4 }, openSession))
  const kids = new Set<string>()
  let roundsWithTwoKeys = 0

  /** When which instance gets which ring: the new secret opens everywhere before it seals anywhere. */
  const deployments = new Map<number, () => Promise<unknown>>([
    [24, () => deploy(0, [older, newer])],
    [28, () => deploy(1, [older, newer])],
    [60, () => deploy(0, [newer, older])],
    [80, () => deploy(1, [newer, older])],
    [
      110,
      async () => {
        const sealer = createSealer(createSecretRing([newer, older]), systemRandom)
        const { connections, signingKeys } = await rekey({ store: fleet[0]!.store, sealer, clock: () => now })
        expect([connections, signingKeys.unreadable]).toEqual([{ resealed: 1, current: 0, unreadable: 0 }, 0])
      },
    ],
    [130, () => deploy(0, [newer])],
    [135, () => deploy(1, [newer])],
  ])
  // Forty hours in steps of fifteen minutes: keys come at 11 h and about every 12 h from then on.
  for (let round = 0; round < 160; round++) {
    now += 900
    for (const session of sessions) session.live = session.live.filter(({ endsAt }) => endsAt > now)
    await Promise.all([
      deployments.get(round)?.(),
      fetchJwks(),
      ...sessions.map(refresh),
      ...(round % 40 === 0 ? [openSession().then(session => void sessions.push(session))] : []),
    ])
    await stopDrained()
    await Promise.all(sessions.map(verifyEverywhere))
    for (const kid of sessions.flatMap(liveKids)) kids.add(kid)
    if (new Set(sessions.flatMap(liveKids)).size > 1) roundsWithTwoKeys++
  }

  expect(roundsWithTwoKeys, 'old tokens beside new ones').toBeGreaterThan(0)
  expect(kids.size, 'keys that signed').toBeGreaterThanOrEqual(4)
  const [first] = kids
  expect(publishedKids()).not.toContain(first)
  expect(events.map(({ type }) => type)).toEqual(
    expect.arrayContaining(['signing_key_created', 'signing_key_retired']),
  )
  const troubles = ['store_unavailable', 'record_unreadable', 'request_failed', 'refresh_token_reused']
  expect(events.filter(({ type }) => troubles.includes(type))).toEqual([])
  const alone = createSealer(createSecretRing([newer]), systemRandom)
  const { sealed } = (await fleet[0]!.store.findConnection({ ...connection, now }))!
  expect(alone.open(sealed, context)).toEqual({ plaintext: 'external tokens', stale: false })
  for (const key of await fleet[0]!.store.listSigningKeys({ now })) {
    expect(key.sealed.split('.')[1]).toBe(createSecretRing([newer]).keyIds[0])
  }
}, 60_000)
