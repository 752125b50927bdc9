import { describe, expect, it } from 'vitest'
import { createDpopKey, signProof } from '../dpop.fixture.ts'
import { OAuthError, StoreUnavailableError } from '../errors.ts'
import type { SallyportEvent } from '../events.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { systemRandom } from '../runtime.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import type { SingleUseStore } from '../storage/store.ts'
import type { AccessToken } from './access-token.ts'
import { createDpopNonces } from './dpop-nonces.ts'
import { createDpopProofs } from './dpop-proofs.ts'

const issuer = 'https://mcp.example.com'
const resource = `${issuer}/mcp`
const url = `${issuer}/oauth/token`
const key = createDpopKey()
const accessToken = 'good'

function setUp({
  needsNonce = false,
  store = createMemoryStore() as Pick<SingleUseStore, 'claimSingleUse'>,
  memorySize = 10,
} = {}) {
  const time = { now: 1_800_000_000 }
  const events: SallyportEvent[] = []
  const asked: (string | undefined)[][] = []
  const clock = () => time.now
  const nonces = createDpopNonces({
    issuer,
    secrets: createSecretRing(['a secret that is long enough to be one']),
    clock,
  })
  const proofs = createDpopProofs({
    verifier: {
      async verifyAccessToken(value, audience, jkt) {
        asked.push([value, audience, jkt])
        if (value === 'down') throw new StoreUnavailableError('feed is silent')
        if (value !== accessToken) throw new OAuthError('invalid_token', 'no')
        return { grantId: 'grant' } as AccessToken
      },
    },
    nonces: needsNonce ? nonces : undefined,
    store,
    clock,
    random: systemRandom,
    emit: event => events.push(event),
    memorySize,
  })
  const request = (proof?: string | string[], method = 'POST') => {
    const headers = new Headers()
    for (const value of [proof ?? []].flat()) headers.append('DPoP', value)
    // Its host is whatever its sender says.
    return new Request('https://evil.example/anything?a=b', { method, headers })
  }
  const sign = (change: Partial<Parameters<typeof signProof>[1]> = {}, by = key) =>
    signProof(by, { url, now: time.now, ...change })
  const present = (proof?: string | string[], value = accessToken) =>
    outcomeOf(proofs.verifyAccessToken(request(proof), value, { resource }))
  const forToken = (claims = {}, by = key) => sign({ url: resource, accessToken, claims }, by)
  return { proofs, nonces, time, events, asked, request, sign, present, forToken }
}

const outcomeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (error instanceof OAuthError ? error.code : (error as Error).name),
  )

describe('a proof at an endpoint that issues tokens', () => {
  it('R159: is read against the configured URL, whatever host the request names', async () => {
    const { proofs, request, sign } = setUp()
    expect(await proofs.read(request(sign()), url)).toMatchObject({ jkt: key.jkt })
    const lured = sign({ url: 'https://evil.example/anything' })
    expect(await outcomeOf(proofs.read(request(lured), url))).toBe('invalid_dpop_proof')
  })

  it('R159: is none when there is no header, and refused when there are two', async () => {
    const { proofs, request, sign } = setUp()
    expect(await proofs.read(request(), url)).toBeUndefined()
    expect(await outcomeOf(proofs.read(request([sign(), sign()]), url))).toBe('invalid_dpop_proof')
    expect(await outcomeOf(proofs.read(request(''), url))).toBe('invalid_dpop_proof')
  })

  it('R159: works once, in every process on the store, until it is too old anyway', async () => {
    const store = createMemoryStore()
    const one = setUp({ store })
    const other = setUp({ store })
    const proof = (await one.proofs.read(one.request(one.sign({ claims: { jti: 'same' } })), url))!
    await one.proofs.claim(proof)
    expect(await outcomeOf(one.proofs.claim(proof))).toBe('invalid_dpop_proof')
    expect(await outcomeOf(other.proofs.claim(proof))).toBe('invalid_dpop_proof')
    expect(one.events).toEqual([{ type: 'dpop_proof_replayed', jkt: key.jkt }])
    // A key of their own lets nobody use up the ids of another.
    const stranger = createDpopKey()
    const theirs = (await one.proofs.read(one.request(one.sign({ claims: { jti: 'same' } }, stranger)), url))!
    await one.proofs.claim(theirs)
    one.time.now = proof.endsAt
    await one.proofs.claim(proof)
  })

  it('R92: a store that does not answer has neither used the proof nor refused it', async () => {
    const { proofs } = setUp({
      store: { claimSingleUse: () => Promise.reject(new StoreUnavailableError('away')) },
    })
    const proof = { jkt: key.jkt, jti: 'x', endsAt: 1_800_000_300 }
    expect(await outcomeOf(proofs.claim(proof))).toBe('StoreUnavailableError')
  })
})

describe('a proof beside an access token', () => {
  it('R159: the verifier is asked for a token bound to the key of the proof', async () => {
    const { present, forToken, asked } = setUp()
    expect(await present(forToken())).toBe('accepted')
    expect(asked).toEqual([[accessToken, resource, key.jkt]])
  })

  it('R159: without a proof, or with one for something else, the token is not even looked at', async () => {
    const { present, sign, asked, forToken } = setUp()
    expect(await present()).toBe('invalid_dpop_proof')
    expect(await present([forToken(), forToken()])).toBe('invalid_dpop_proof')
    expect(await present(sign({ accessToken }))).toBe('invalid_dpop_proof')
    expect(await present(sign({ url: resource }))).toBe('invalid_dpop_proof')
    expect(await present(forToken(), 'another')).toBe('invalid_dpop_proof')
    expect(asked).toEqual([])
  })

  it('R159: works once in this process', async () => {
    const { present, forToken, events, time } = setUp()
    const proof = forToken()
    expect(await present(proof)).toBe('accepted')
    expect(await present(proof)).toBe('invalid_dpop_proof')
    expect(events).toEqual([{ type: 'dpop_proof_replayed', jkt: key.jkt }])
    time.now += 300
    expect(await present(proof)).toBe('invalid_dpop_proof')
    time.now += 1
    expect(await present(proof)).toBe('invalid_dpop_proof')
    // The same id in a proof of today: what has ended is forgotten.
    const jti = JSON.parse(Buffer.from(proof.split('.')[1]!, 'base64url').toString()).jti as string
    expect(await present(forToken({ jti }))).toBe('accepted')
    expect(await present(forToken({ jti }, createDpopKey()))).toBe('accepted')
    expect(await present(forToken({ jti }))).toBe('invalid_dpop_proof')
  })

  it('R159: of many parallel uses of one proof one gets in', async () => {
    const { present, forToken } = setUp()
    const proof = forToken()
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => present(proof)))
    expect(outcomes.filter(outcome => outcome === 'accepted')).toHaveLength(1)
  })

  it('R91: what was refused for another reason has not used the proof up', async () => {
    const { proofs, request, forToken, sign } = setUp()
    const proof = sign({ url: resource, accessToken: 'down' })
    for (let time = 0; time < 2; time++) {
      const answer = outcomeOf(proofs.verifyAccessToken(request(proof), 'down', { resource }))
      expect(await answer).toBe('StoreUnavailableError')
    }
    const early = forToken()
    expect(await outcomeOf(proofs.verifyAccessToken(request(early), 'other', { resource }))).toBe(
      'invalid_dpop_proof',
    )
    expect(await outcomeOf(proofs.verifyAccessToken(request(early), accessToken, { resource }))).toBe(
      'accepted',
    )
  })

  it('R159: the memory is bounded: the proofs seen longest ago are given up', async () => {
    const { present, forToken } = setUp({ memorySize: 2 })
    const proofs = [forToken(), forToken(), forToken()]
    for (const proof of proofs) expect(await present(proof)).toBe('accepted')
    expect(await present(proofs[2])).toBe('invalid_dpop_proof')
    expect(await present(proofs[1])).toBe('invalid_dpop_proof')
    expect(await present(proofs[0])).toBe('accepted')
  })

  it('is for the URL that was requested, which need not be the resource', async () => {
    const { proofs, request, sign, forToken } = setUp()
    const userinfo = `${issuer}/oauth/userinfo`
    const at = (proof: string) =>
      outcomeOf(proofs.verifyAccessToken(request(proof), accessToken, { resource, url: userinfo }))
    expect(await at(sign({ url: userinfo, accessToken }))).toBe('accepted')
    expect(await at(forToken())).toBe('invalid_dpop_proof')
  })
})

describe('with nonces', () => {
  it('R159: a proof without a nonce of ours is asked to come again with one', async () => {
    const { proofs, request, sign, nonces, time } = setUp({ needsNonce: true })
    const nonce = nonces.next()
    for (const claims of [{}, { nonce: 'of somebody else' }]) {
      const error = await proofs.read(request(sign({ claims })), url).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'use_dpop_nonce', status: 400, headers: { 'DPoP-Nonce': nonce } })
    }
    const good = sign({ claims: { nonce } })
    expect(await proofs.read(request(good), url)).toMatchObject({ jkt: key.jkt })
    time.now += 299
    expect(await proofs.read(request(good), url)).toMatchObject({ jkt: key.jkt })
    time.now += 1
    expect(await outcomeOf(proofs.read(request(sign({ claims: { nonce } })), url))).toBe('use_dpop_nonce')
  })

  it('R159: what is no proof gets no nonce', async () => {
    const { proofs, request, sign } = setUp({ needsNonce: true })
    const bad = sign({ method: 'GET' })
    const error = await proofs.read(request(bad), url).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'invalid_dpop_proof', headers: {} })
  })

  it('answers bring the next one, and none where none is needed', () => {
    const { proofs, nonces } = setUp({ needsNonce: true })
    expect(proofs.nonceHeaders()).toEqual({ 'DPoP-Nonce': nonces.next() })
    expect(setUp().proofs.nonceHeaders()).toEqual({})
  })

  it('R159: without nonces a nonce in a proof means nothing', async () => {
    const { proofs, request, sign } = setUp()
    expect(await proofs.read(request(sign({ claims: { nonce: 'x' } })), url)).toMatchObject({ jkt: key.jkt })
  })
})
