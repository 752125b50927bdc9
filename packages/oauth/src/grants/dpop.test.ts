import { decodeJwt } from 'jose'
import { describe, expect, it } from 'vitest'
import {
  basicClient,
  clientTypes,
  configuredClients,
  createFixture,
  type Fixture,
  issuer,
  jwtClient,
  outcome,
  postClient,
  publicClient,
  resource,
  type TestClient,
  verifier,
} from '../authorization-server.fixture.ts'
import { createDpopKey, type DpopKey, signProof } from '../dpop.fixture.ts'
import { StoreUnavailableError } from '../errors.ts'

type Body = Record<string, string>
const tokenUrl = `${issuer}/oauth/token`
const key = createDpopKey()
const thief = createDpopKey()

/** A token request, with a proof of the key unless there is none. */
const ask = (fixture: Fixture, client: TestClient, body: Body, by?: DpopKey | string) => {
  const proof = typeof by === 'object' ? signProof(by, { url: tokenUrl, now: fixture.time.now }) : by
  return fixture.post(
    '/oauth/token',
    { ...client.body, ...body },
    { ...client.headers, ...(proof !== undefined && { DPoP: proof }) },
  )
}
const redemption = (code: string) => ({ grant_type: 'authorization_code', code, code_verifier: verifier })
const redeem = (fixture: Fixture, client: TestClient, code: string, by?: DpopKey | string) =>
  ask(fixture, client, redemption(code), by)
const refresh = (fixture: Fixture, client: TestClient, token: string, by?: DpopKey | string) =>
  ask(fixture, client, { grant_type: 'refresh_token', refresh_token: token }, by)
const ok = async (response: Promise<Response>): Promise<Body> => {
  const answer = await response
  expect(answer.status).toBe(200)
  return (await answer.json()) as Body
}
const session = async (fixture: Fixture, client: TestClient, by?: DpopKey) => {
  const { code, grantId } = await fixture.placeCode(client)
  return { grantId, code, ...(await ok(redeem(fixture, client, code, by))) } as Body
}
const jktOf = (token?: string) => (decodeJwt(token!).cnf as { jkt?: string } | undefined)?.jkt
const eventsOf = (fixture: Fixture, type: string) => fixture.events.filter(event => event.type === type)

describe('tokens bound to a key', () => {
  it.each(clientTypes)('R159: a $name client that proves a key gets tokens for that key', async client => {
    const fixture = createFixture()
    const first = await session(fixture, client, key)
    const second = await ok(refresh(fixture, client, first.refresh_token!, key))
    for (const { token_type, access_token } of [first, second]) {
      expect([token_type, jktOf(access_token)]).toEqual(['DPoP', key.jkt])
      expect(await fixture.isLive(access_token!)).toBe(false)
      const { verifyAccessToken } = fixture.server
      expect(await verifyAccessToken(access_token!, resource, key.jkt)).toMatchObject({ userId: 'user-1' })
      await expect(verifyAccessToken(access_token!, resource, thief.jkt)).rejects.toMatchObject({
        code: 'invalid_token',
      })
    }
  })

  it('R159: a client by itself too', async () => {
    const machine = { clientId: 'job', clientSecret: 'canary-secret-of-a-job-0123456789' }
    const fixture = createFixture({
      clients: [{ ...machine, grantTypes: ['client_credentials'], scopes: ['notes:read'] }],
    })
    const client = {
      name: 'job',
      clientId: 'job',
      headers: { Authorization: `Basic ${btoa(`job:${machine.clientSecret}`)}` },
      body: {},
    }
    const body = { grant_type: 'client_credentials' }
    const bound = await ok(ask(fixture, client, body, key))
    expect([bound.token_type, jktOf(bound.access_token)]).toEqual(['DPoP', key.jkt])
    const bearer = await ok(ask(fixture, client, body))
    expect([bearer.token_type, jktOf(bearer.access_token)]).toEqual(['Bearer', undefined])
  })

  it('without a proof they are bearer tokens, and no key makes them more', async () => {
    const fixture = createFixture()
    const { token_type, access_token } = await session(fixture, publicClient)
    expect([token_type, jktOf(access_token)]).toEqual(['Bearer', undefined])
    expect(await fixture.isLive(access_token!)).toBe(true)
    await expect(fixture.server.verifyAccessToken(access_token!, resource, key.jkt)).rejects.toMatchObject({
      code: 'invalid_token',
    })
  })

  it.each([
    ['no JWT', 'canary'],
    ['nothing', ''],
    ['a proof for another URL', signProof(key, { url: resource, now: 1_800_000_000 })],
    ['a proof of yesterday', signProof(key, { url: tokenUrl, now: 1_800_000_000 - 86_400 })],
    ['two proofs', [1, 2].map(() => signProof(key, { url: tokenUrl, now: 1_800_000_000 })).join(', ')],
  ])('R91, R159: %s is refused, and nothing is used up', async (_, proof) => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(publicClient)
    const refused = await redeem(fixture, publicClient, code, proof)
    expect(await outcome(refused)).toBe('400 invalid_dpop_proof')
    const { refresh_token } = await ok(redeem(fixture, publicClient, code, key))
    expect(await outcome(await refresh(fixture, publicClient, refresh_token!, proof))).toBe(
      '400 invalid_dpop_proof',
    )
    await ok(refresh(fixture, publicClient, refresh_token!, key))
  })

  it('R85: who the client is comes first: a proof is no authentication', async () => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(basicClient)
    const stranger = { ...basicClient, headers: {}, body: { client_id: 'basic' } }
    expect(await outcome(await redeem(fixture, stranger, code, 'canary'))).toBe('401 invalid_client')
    expect(await outcome(await redeem(fixture, stranger, code, key))).toBe('401 invalid_client')
  })
})

describe('a proof that comes again', () => {
  it('R159: gets no second token, and the session goes on', async () => {
    const fixture = createFixture()
    const { refresh_token } = await session(fixture, publicClient)
    const proof = signProof(key, { url: tokenUrl, now: fixture.time.now })
    const first = await ok(refresh(fixture, publicClient, refresh_token!, proof))
    const again = await refresh(fixture, publicClient, first.refresh_token!, proof)
    expect(await outcome(again)).toBe('400 invalid_dpop_proof')
    expect(eventsOf(fixture, 'dpop_proof_replayed')).toEqual([{ type: 'dpop_proof_replayed', jkt: key.jkt }])
    expect(eventsOf(fixture, 'family_revoked')).toEqual([])
    await ok(refresh(fixture, publicClient, first.refresh_token!, key))
  })

  it('R91: a refused request has not used it up', async () => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(publicClient)
    const proof = signProof(key, { url: tokenUrl, now: fixture.time.now })
    const wrong = { ...redemption(code), code_verifier: verifier.replace('v-', 'w-') }
    expect(await outcome(await ask(fixture, publicClient, wrong, proof))).toBe('400 invalid_grant')
    await ok(redeem(fixture, publicClient, code, proof))
  })

  it('R92: a store that cannot say whether it came before answers 503, and the code is good', async () => {
    let isAway = true
    const fixture = createFixture({}, store => ({
      ...store,
      claimSingleUse: step =>
        isAway ? Promise.reject(new StoreUnavailableError('away')) : store.claimSingleUse(step),
    }))
    const { code } = await fixture.placeCode(publicClient)
    const answer = await redeem(fixture, publicClient, code, key)
    expect(await outcome(answer)).toBe('503 temporarily_unavailable')
    isAway = false
    await ok(redeem(fixture, publicClient, code, key))
  })

  it('R118: a client assertion beside it is used up by itself', async () => {
    const fixture = createFixture()
    const { code } = await fixture.placeCode(jwtClient)
    const { body } = jwtClient
    const fixed = { ...jwtClient, body }
    const { refresh_token } = await ok(redeem(fixture, fixed, code, key))
    expect(await outcome(await refresh(fixture, fixed, refresh_token!, key))).toBe('401 invalid_client')
    await ok(refresh(fixture, jwtClient, refresh_token!, key))
  })
})

describe('a refresh token bound to a key', () => {
  it('R159: a stolen one of a public client is worth nothing, and its theft ends nothing', async () => {
    const fixture = createFixture()
    const { refresh_token } = await session(fixture, publicClient, key)
    for (const by of [undefined, thief]) {
      const answer = await refresh(fixture, publicClient, refresh_token!, by)
      expect(await outcome(answer)).toBe('400 invalid_grant')
    }
    expect(eventsOf(fixture, 'family_revoked')).toEqual([])
    const next = await ok(refresh(fixture, publicClient, refresh_token!, key))
    expect(await outcome(await refresh(fixture, publicClient, next.refresh_token!, thief))).toBe(
      '400 invalid_grant',
    )
    await ok(refresh(fixture, publicClient, next.refresh_token!, key))
  })

  it('R103: an old one in the hands of its owner still ends the family', async () => {
    const fixture = createFixture()
    const { grantId, refresh_token } = await session(fixture, publicClient, key)
    const next = await ok(refresh(fixture, publicClient, refresh_token!, key))
    await ok(refresh(fixture, publicClient, next.refresh_token!, key))
    expect(await outcome(await refresh(fixture, publicClient, refresh_token!, thief))).toBe(
      '400 invalid_grant',
    )
    expect(eventsOf(fixture, 'family_revoked')).toEqual([])
    expect(await outcome(await refresh(fixture, publicClient, refresh_token!, key))).toBe('400 invalid_grant')
    expect(eventsOf(fixture, 'family_revoked')).toMatchObject([{ grantId, by: 'refresh_token_reused' }])
  })

  it.each([basicClient, postClient, jwtClient])(
    'RFC 9449 §5: a $name client, bound by its credentials, may change its key',
    async client => {
      const fixture = createFixture()
      const { refresh_token } = await session(fixture, client, key)
      const next = await ok(refresh(fixture, client, refresh_token!, thief))
      expect([next.token_type, jktOf(next.access_token)]).toEqual(['DPoP', thief.jkt])
      const bearer = await ok(refresh(fixture, client, next.refresh_token!))
      expect([bearer.token_type, jktOf(bearer.access_token)]).toEqual(['Bearer', undefined])
    },
  )

  it('R159: one that was not bound is from the first proof on', async () => {
    const fixture = createFixture()
    const { refresh_token } = await session(fixture, publicClient)
    const next = await ok(refresh(fixture, publicClient, refresh_token!, key))
    expect(next.token_type).toBe('DPoP')
    expect(await outcome(await refresh(fixture, publicClient, next.refresh_token!))).toBe('400 invalid_grant')
    await ok(refresh(fixture, publicClient, next.refresh_token!, key))
  })

  it.each([publicClient, basicClient])(
    'R105: the lost reply of a rotation is for who proves the same key again ($name)',
    async client => {
      const fixture = createFixture()
      const { refresh_token } = await session(fixture, client)
      const first = await ok(refresh(fixture, client, refresh_token!, key))
      for (const by of [thief, undefined]) {
        expect(await outcome(await refresh(fixture, client, refresh_token!, by))).toBe('400 invalid_grant')
      }
      expect(await ok(refresh(fixture, client, refresh_token!, key))).toEqual(first)
      expect(eventsOf(fixture, 'family_revoked')).toEqual([])
    },
  )

  it('R104: 20 parallel refreshes with the same key get the same successor', async () => {
    const fixture = createFixture()
    const { refresh_token } = await session(fixture, publicClient, key)
    const bodies = await Promise.all(
      Array.from({ length: 20 }, () => ok(refresh(fixture, publicClient, refresh_token!, key))),
    )
    for (const body of bodies) expect(body).toEqual(bodies[0])
  })
})

describe('a client that always proves a key', () => {
  const clients = configuredClients.map(client =>
    client.clientId === 'public' ? { ...client, dpopBoundAccessTokens: true } : client,
  )

  it('R159: gets no bearer token, and nothing is used up', async () => {
    const fixture = createFixture({ clients })
    const { code } = await fixture.placeCode(publicClient)
    expect(await outcome(await redeem(fixture, publicClient, code))).toBe('400 invalid_dpop_proof')
    const { refresh_token } = await ok(redeem(fixture, publicClient, code, key))
    expect(await outcome(await refresh(fixture, publicClient, refresh_token!))).toBe('400 invalid_dpop_proof')
    await ok(refresh(fixture, publicClient, refresh_token!, key))
  })
})

describe('with the options', () => {
  it('R159: nonces: a client that is asked for one comes again with it, and has the next from the answer', async () => {
    const fixture = createFixture({ dpopNonces: true })
    const { code } = await fixture.placeCode(publicClient)
    const refused = await redeem(fixture, publicClient, code, key)
    const nonce = refused.headers.get('dpop-nonce')
    expect(await outcome(refused)).toBe('400 use_dpop_nonce')
    expect(refused.headers.get('access-control-expose-headers')).toContain('DPoP-Nonce')
    const claims = { nonce }
    const proof = () => signProof(key, { url: tokenUrl, now: fixture.time.now, claims })
    fixture.time.now += 200
    const answer = await redeem(fixture, publicClient, code, proof())
    expect(answer.status).toBe(200)
    const { refresh_token } = (await answer.json()) as Body
    fixture.time.now += 200
    expect(await outcome(await refresh(fixture, publicClient, refresh_token!, proof()))).toBe(
      '400 use_dpop_nonce',
    )
    claims.nonce = answer.headers.get('dpop-nonce')
    await ok(refresh(fixture, publicClient, refresh_token!, proof()))
  })

  it('nonces are for who proves a key: others see nothing of them', async () => {
    const fixture = createFixture({ dpopNonces: true })
    const { code } = await fixture.placeCode(publicClient)
    const answer = await redeem(fixture, publicClient, code)
    expect([answer.status, answer.headers.get('dpop-nonce')]).toEqual([200, null])
  })

  it('R5, R159: off, a proof is not looked at and binds nothing, and what was bound is worth nothing', async () => {
    const on = createFixture()
    const bound = await session(on, publicClient, key)
    const off = createFixture({ dpop: false, store: on.store })
    const { token_type, access_token } = await session(off, publicClient, key)
    expect([token_type, jktOf(access_token)]).toEqual(['Bearer', undefined])
    const { code } = await off.placeCode(publicClient)
    await ok(redeem(off, publicClient, code, 'canary'))
    expect(await outcome(await refresh(off, publicClient, bound.refresh_token!, key))).toBe(
      '400 invalid_grant',
    )
    expect(await off.isLive(bound.access_token!)).toBe(false)
    expect(off.server.dpop).toBeUndefined()
  })
})
