import { generateKeyPair, importJWK, type JWTHeaderParameters, SignJWT } from 'jose'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { OAuthError, StoreUnavailableError } from '../errors.ts'
import { signingKeySealContext } from '../keys/seal-context.ts'
import { createSealer } from '../keys/sealer.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { createSigningKeys, type SigningKeys } from '../keys/signing-keys.ts'
import { systemRandom as random } from '../runtime.ts'
import { createMemoryStore, type MemoryStore } from '../storage/memory-store.ts'
import type { Revocation } from '../storage/store.ts'
import type { AccessTokenVerifier } from './access-token.ts'
import { createTokenIssuer, type TokenIssuer } from './issue.ts'
import { createOpaqueAccessTokens } from './opaque-access-token.ts'
import { createRevokedGrants } from './revoked-grants.ts'
import { mintAuthorizationCode, mintRefreshToken } from './token-value.ts'
import { createAccessTokenVerifier } from './verify-access-token.ts'

const issuer = 'https://server.example'
const resource = 'https://server.example/mcp'
const start = 1_900_000_000
const secrets = createSecretRing(['a secret that is long enough to be one'])
const grant = {
  id: 'family',
  userId: 'user',
  clientId: 'client',
  resource,
  authTime: start - 100,
  amr: [],
  endsAt: 0,
}

let now: number
let store: MemoryStore
let signingKeys: SigningKeys
let tokens: TokenIssuer
let verifier: AccessTokenVerifier
const clock = () => now
const opaqueTokens = createOpaqueAccessTokens({ issuer, tenant: 'default', secrets, random })

beforeEach(() => {
  now = start
  store = createMemoryStore()
  signingKeys = createSigningKeys({ store, sealer: createSealer(secrets, random), algorithm: 'ES256', clock })
  tokens = createTokenIssuer({ issuer, signingKeys, clock, random })
  verifier = createAccessTokenVerifier({ issuer, signingKeys, store, clock, opaqueTokens })
})
afterEach(() => verifier.close())

const issue = async (over: Partial<typeof grant> = {}, scopes = ['a', 'b']) =>
  (await tokens.issueAccessToken({ grant: { ...grant, ...over }, scopes, lifeSeconds: 900 })).value
const claims = (): Record<string, unknown> => ({
  iss: issuer,
  sub: 'user',
  aud: resource,
  client_id: 'client',
  scope: 'a b',
  iat: now,
  exp: now + 900,
  jti: 'jti',
  sid: 'family',
})
/** A token our own key signed, whatever it says. */
const sign = async (payload: Record<string, unknown>, header: Record<string, unknown> = {}) => {
  const { kid, alg } = await signingKeys.active()
  const record = (await store.listSigningKeys({ now })).find(key => key.kid === kid)!
  const opened = createSealer(secrets, random).open(
    record.sealed,
    signingKeySealContext(store.tenant, record),
  )
  const privateKey = await importJWK(JSON.parse(opened!.plaintext), alg)
  return new SignJWT(payload)
    .setProtectedHeader({ typ: 'at+jwt', alg, kid, ...header })
    .sign(privateKey, { crit: { 'urn:example': true } })
}
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const expectRefused = async (value: string, at = resource) => {
  const error = await verifier.verifyAccessToken(value, at).then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(error).toBeInstanceOf(OAuthError)
  expect(error).toMatchObject({ code: 'invalid_token', status: 401 })
  return error as OAuthError
}

/** A grant whose code was redeemed, so that it can be revoked. */
const openFamily = async (id = 'family') => {
  await store.putGrant({
    record: {
      ...grant,
      version: 1,
      id,
      redirectUri: 'https://client.example/',
      scopes: [],
      createdAt: now,
      accessEndsAt: 0,
      code: { hash: 'code', challenge: 'challenge', expiresAt: now + 600, failures: 0 },
    },
    now,
  })
  await store.redeemCode({ id, codeHash: 'code', operationId: id, now, accessEndsAt: now + 900 })
}
const revoke = (id = 'family') => store.revokeGrant({ id, reason: 'user', operationId: `revoke ${id}`, now })

describe('a good access token', () => {
  it('says who calls, through which client, allowed to do what, until when', async () => {
    expect(await verifier.verifyAccessToken(await issue(), resource)).toEqual({
      principal: 'user',
      userId: 'user',
      subject: 'user',
      clientId: 'client',
      scopes: ['a', 'b'],
      resource,
      issuer,
      grantId: 'family',
      jti: expect.any(String),
      expiresAt: now + 900,
      authTime: now - 100,
    })
    expect((await verifier.verifyAccessToken(await issue({}, []), resource)).scopes).toEqual([])
  })

  it('is verified without I/O from the second time on, and without a signature check', async () => {
    const find = vi.spyOn(signingKeys, 'find')
    const list = vi.spyOn(store, 'listRevocations')
    const counting = createAccessTokenVerifier({
      issuer,
      signingKeys: { ...signingKeys, find },
      store,
      clock,
      opaqueTokens,
    })
    const value = await issue()
    const first = await counting.verifyAccessToken(value, resource)
    for (let i = 0; i < 100; i++) expect(await counting.verifyAccessToken(value, resource)).toBe(first)
    expect(find).toHaveBeenCalledTimes(1)
    expect(list).toHaveBeenCalledTimes(1)
    counting.close()
  })

  it('cannot be changed by whoever got it', async () => {
    const value = await issue()
    const token = await verifier.verifyAccessToken(value, resource)
    expect(() => (token.scopes as string[]).push('admin')).toThrow(TypeError)
    expect(() => Object.assign(token, { userId: 'other' })).toThrow(TypeError)
    expect(await verifier.verifyAccessToken(value, resource)).toMatchObject({
      userId: 'user',
      scopes: ['a', 'b'],
    })
  })

  it('is forgotten when many others came since, and verified anew', async () => {
    const find = vi.spyOn(signingKeys, 'find')
    const small = createAccessTokenVerifier({
      issuer,
      signingKeys: { ...signingKeys, find },
      store,
      clock,
      opaqueTokens,
      cacheSize: 2,
    })
    const values = await Promise.all([issue(), issue(), issue()])
    for (const value of [...values, values[0]]) await small.verifyAccessToken(value!, resource)
    expect(find).toHaveBeenCalledTimes(4)
    small.close()
  })

  it('R154: signed by a key another process made, it is accepted without a restart', async () => {
    await verifier.verifyAccessToken(await issue(), resource)
    const other = createSigningKeys({
      store,
      sealer: createSealer(secrets, random),
      algorithm: 'EdDSA',
      clock,
    })
    const theirs = createTokenIssuer({ issuer, signingKeys: other, clock, random })
    const { value } = await theirs.issueAccessToken({ grant, scopes: [], lifeSeconds: 900 })
    now += 5
    expect((await verifier.verifyAccessToken(value, resource)).userId).toBe('user')
  })
})

describe('audience', () => {
  it.each([
    'https://server.example/mcp-v2',
    'https://server.example/mcp/',
    'https://server.example/mc',
    'https://server.example',
    'https://SERVER.example/mcp',
    'https://other.example/mcp',
    '*',
    '',
  ])('R153: a token for %j is refused, also after it was accepted for its own resource', async aud => {
    await expectRefused(await sign({ ...claims(), aud }))
    const value = await issue()
    await verifier.verifyAccessToken(value, resource)
    await expectRefused(value, aud)
  })

  it.each([
    ['a list that holds ours', [resource, 'https://other.example']],
    ['a list of ours alone', [resource]],
    ['no audience', undefined],
    ['a number', 1],
    ['an empty list', []],
  ])('R153: a token with %s is refused', async (_, aud) => {
    await expectRefused(await sign({ ...claims(), aud }))
  })
})

describe('forged and foreign tokens', () => {
  it.each<[string, () => Record<string, unknown>]>([
    ['another issuer', () => ({ iss: 'https://evil.example' })],
    ['the issuer and a slash', () => ({ iss: `${issuer}/` })],
    ...['iss', 'sub', 'aud', 'client_id', 'scope', 'iat', 'exp', 'jti', 'sid'].map(
      (name): [string, () => Record<string, unknown>] => [`no ${name}`, () => ({ [name]: undefined })],
    ),
    ...['sub', 'client_id', 'jti', 'sid'].map((name): [string, () => Record<string, unknown>] => [
      `an empty ${name}`,
      () => ({ [name]: '' }),
    ]),
    ['an exp in words', () => ({ exp: 'never' })],
    ['an exp as text', () => ({ exp: `${now + 900}` })],
    ['an exp that is no whole number', () => ({ exp: now + 900.5 })],
    ['an exp that is over', () => ({ exp: now })],
    ['an iat as text', () => ({ iat: `${now}` })],
    ['an nbf as text', () => ({ nbf: `${now}` })],
    ['an nbf to come', () => ({ nbf: now + 1 })],
    ['scopes as a list', () => ({ scope: ['a'] })],
    ['a subject that is a number', () => ({ sub: 7 })],
  ])('R154: signed by us, but with %s: refused', async (_, over) => {
    await expect(verifier.verifyAccessToken(await sign(claims()), resource)).resolves.toBeDefined()
    await expectRefused(await sign({ ...claims(), ...over() }))
  })

  it.each<[string, Record<string, unknown>]>([
    ['the type of an ID token', { typ: 'JWT' }],
    ['no type', { typ: undefined }],
    ['the type of a logout token', { typ: 'logout+jwt' }],
    ['an extension it must not ignore', { crit: ['urn:example'], 'urn:example': 1 }],
  ])('R155: signed by us with %s: refused', async (_, header) => {
    await expectRefused(await sign(claims(), header))
  })

  it('R154: signed with a key of somebody else under our kid: refused', async () => {
    const { kid } = await signingKeys.active()
    const { privateKey } = await generateKeyPair('ES256')
    const header = { typ: 'at+jwt', alg: 'ES256', kid }
    await expectRefused(await new SignJWT(claims()).setProtectedHeader(header).sign(privateKey))
  })

  it('R154: a key that the token brings along is not used', async () => {
    const { kid } = await signingKeys.active()
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    const jwk = (await crypto.subtle.exportKey('jwk', publicKey)) as JWTHeaderParameters['jwk']
    for (const id of [{ kid }, {}, { kid: 'unknown' }]) {
      const header = { typ: 'at+jwt', alg: 'ES256', jwk: jwk!, ...id }
      await expectRefused(await new SignJWT(claims()).setProtectedHeader(header).sign(privateKey))
    }
  })

  it('R174: a token ends with the key that signed it, also when it was verified before', async () => {
    const value = await issue()
    await verifier.verifyAccessToken(value, resource)
    const { kid } = await signingKeys.active()
    await store.retireSigningKey({ kid, retiresAt: now, now })
    now += 60
    await signingKeys.rotateIfDue()
    await expectRefused(value)
    await expect(verifier.verifyAccessToken(await issue(), resource)).resolves.toBeDefined()
  })

  it('R174: the algorithm is that of the key: our public key as an HMAC secret, or none at all, is refused', async () => {
    const { kid } = await signingKeys.active()
    const [jwk] = (await signingKeys.jwks()).keys
    for (const secret of [JSON.stringify(jwk), jwk!.x!, kid]) {
      const header = { typ: 'at+jwt', alg: 'HS256', kid }
      const key = new TextEncoder().encode(secret.padEnd(32))
      await expectRefused(await new SignJWT(claims()).setProtectedHeader(header).sign(key))
    }
    for (const alg of ['none', 'None', '', undefined]) {
      await expectRefused(`${encode({ typ: 'at+jwt', alg, kid })}.${encode(claims())}.`)
    }
  })

  it('R174: an algorithm of the same key type is refused too', async () => {
    const rsa = createSigningKeys({ store, sealer: createSealer(secrets, random), algorithm: 'RS256', clock })
    const { kid } = await rsa.active()
    const { privateKey } = await generateKeyPair('PS256')
    const header = { typ: 'at+jwt', alg: 'PS256', kid }
    await expectRefused(await new SignJWT(claims()).setProtectedHeader(header).sign(privateKey))
  })

  it('R154: kids nobody knows do not make it ask the store each time', async () => {
    await verifier.verifyAccessToken(await issue(), resource)
    now += 60
    const list = vi.spyOn(store, 'listSigningKeys')
    const { privateKey } = await generateKeyPair('ES256')
    for (let i = 0; i < 50; i++) {
      const header = { typ: 'at+jwt', alg: 'ES256', kid: `unknown-${i}` }
      await expectRefused(await new SignJWT(claims()).setProtectedHeader(header).sign(privateKey))
    }
    expect(list.mock.calls.length).toBeLessThanOrEqual(1)
  })

  it.each<[string, () => string]>([
    ['an authorization code', () => mintAuthorizationCode(random, 'family').value],
    ['a refresh token', () => mintRefreshToken({ secrets, random, grantId: 'family', generation: 0 }).value],
    ['a token as Google makes them', () => `ya29.a0${'A'.repeat(200)}`],
    ['nothing', () => ''],
    ['dots', () => '..'],
    ['no JSON', () => 'AAAA.AAAA.AAAA'],
    ['null', () => `${encode(null)}.${encode(null)}.`],
    ['a kid that is no text', () => `${encode({ alg: 'ES256', kid: 1, typ: 'at+jwt' })}.e30.AAAA`],
    [
      'a kid out of the prototype',
      () => `${encode({ alg: 'ES256', kid: '__proto__', typ: 'at+jwt' })}.e30.AAAA`,
    ],
    ['an encrypted token', () => `${encode({ alg: 'dir', enc: 'A256GCM', kid: 'x' })}..AAAA.AAAA.AAAA`],
    [
      'an encrypted token that asks for 2³¹ rounds',
      () =>
        `${encode({ alg: 'PBES2-HS256+A128KW', enc: 'A256GCM', p2c: 2 ** 31, p2s: 'AAAA' })}.AAAA.AAAA.AAAA.AAAA`,
    ],
    [
      'an encrypted token that wants to be inflated',
      () => `${encode({ alg: 'dir', enc: 'A256GCM', zip: 'DEF', kid: 'x' })}..AAAA.AAAA.AAAA`,
    ],
    ['a megabyte', () => 'A'.repeat(1_000_000)],
  ])('R155, R177: %s is refused', async (_, value) => {
    await expectRefused(value())
  })

  it('a token beyond 8 KB is refused before anything is parsed, even if we signed it', async () => {
    const find = vi.spyOn(signingKeys, 'find')
    await expectRefused(await sign({ ...claims(), scope: 'a '.repeat(4_000) }))
    expect(find).not.toHaveBeenCalled()
  })

  it('R159: a bound token is good with its key alone, also from the cache, and one that is not without any', async () => {
    const [bound, bearer] = [await sign({ ...claims(), cnf: { jkt: 'key' } }), await sign(claims())]
    for (let time = 0; time < 2; time++) {
      await expect(verifier.verifyAccessToken(bound, resource, 'key')).resolves.toBeDefined()
      await expect(verifier.verifyAccessToken(bearer, resource)).resolves.toBeDefined()
      await expectRefused(bound)
      for (const value of [bound, bearer]) {
        await expect(verifier.verifyAccessToken(value, resource, 'other')).rejects.toMatchObject({
          code: 'invalid_token',
        })
      }
    }
  })

  it.each([{}, { jkt: '' }, { jkt: 7 }, { 'x5t#S256': 'AAAA' }, { jkt: 'key', jwk: {} }, 'key', null])(
    'R159: a token bound in a way we do not know (%j) is for nobody',
    async cnf => {
      const value = await sign({ ...claims(), cnf })
      await expectRefused(value)
      await expect(verifier.verifyAccessToken(value, resource, 'key')).rejects.toBeInstanceOf(OAuthError)
    },
  )

  it('no refusal says anything of the token', async () => {
    const value = await sign({ ...claims(), sub: 'canary-subject', aud: 'canary-audience' })
    const error = await expectRefused(value)
    const told = JSON.stringify([error.message, error.description, error.cause, error.headers])
    expect(told).not.toContain('canary')
    expect(told).not.toContain(value.slice(0, 10))
  })
})

describe('end and revocation', () => {
  it('begins when it says, by the clock that was passed in', async () => {
    const value = await sign({ ...claims(), nbf: now })
    await verifier.verifyAccessToken(value, resource)
  })

  it('ends with its last second, cached or not', async () => {
    const [cached, fresh] = [await issue(), await issue()]
    now = start + 899
    await verifier.verifyAccessToken(cached, resource)
    now = start + 900
    for (const value of [cached, fresh]) {
      expect((await expectRefused(value)).description).toBe('The access token is expired.')
    }
  })

  it('R139: after its family is revoked the next request is refused, cached or not; others go on', async () => {
    await openFamily()
    const [cached, fresh, other] = [await issue(), await issue(), await issue({ id: 'other' })]
    await verifier.verifyAccessToken(cached, resource)
    await revoke()
    for (const value of [cached, fresh]) {
      expect((await expectRefused(value)).description).toBe('The access token is revoked.')
    }
    expect((await verifier.verifyAccessToken(other, resource)).grantId).toBe('other')
  })

  it('R157: a process that starts after the revocation refuses the token too', async () => {
    await openFamily()
    const value = await issue()
    await revoke()
    const restarted = createAccessTokenVerifier({ issuer, signingKeys, store, clock, opaqueTokens })
    await expect(restarted.verifyAccessToken(value, resource)).rejects.toThrow(OAuthError)
    restarted.close()
  })

  it('R139: a revocation that comes while the signature is being checked is not missed', async () => {
    await openFamily()
    const value = await issue()
    await verifier.verifyAccessToken(await issue({ id: 'other' }), resource)
    const find: SigningKeys['find'] = async kid => {
      await revoke()
      return signingKeys.find(kid)
    }
    const slow = createAccessTokenVerifier({
      issuer,
      signingKeys: { ...signingKeys, find },
      store,
      clock,
      opaqueTokens,
    })
    await expect(slow.verifyAccessToken(value, resource)).rejects.toThrow(OAuthError)
    slow.close()
  })
})

describe('revocation feed', () => {
  /** A feed that says only what the test makes it say. */
  const manualFeed = () => {
    let watcher: Parameters<MemoryStore['watchRevocations']>[0] | undefined
    const list: Revocation[] = []
    return {
      list,
      subscriptions: 0,
      listRevocations: async () => list,
      watchRevocations(given: NonNullable<typeof watcher>) {
        this.subscriptions++
        watcher = given
        return () => {
          watcher = undefined
        }
      },
      sync: () => watcher?.onSynced(),
      revoke: (revocation: Revocation) => watcher?.onRevoked(revocation),
    }
  }
  type Feed = ReturnType<typeof manualFeed>
  const follow = (feed: Feed) =>
    createAccessTokenVerifier({ issuer, signingKeys, store: feed, clock, opaqueTokens })

  it('R157: before the feed has shown that it works, and after 60 seconds of silence, no token is trusted', async () => {
    const feed = manualFeed()
    const following = follow(feed)
    const value = await issue()
    await expect(following.verifyAccessToken(value, resource)).rejects.toThrow(StoreUnavailableError)
    feed.sync()
    await following.verifyAccessToken(value, resource)
    now += 60
    await following.verifyAccessToken(value, resource)
    now += 1
    await expect(following.verifyAccessToken(value, resource)).rejects.toThrow(StoreUnavailableError)
    feed.sync()
    await following.verifyAccessToken(value, resource)
  })

  it('R157: what was revoked during the silence is read again before a token is trusted', async () => {
    const feed = manualFeed()
    const following = follow(feed)
    feed.sync()
    const value = await issue()
    await following.verifyAccessToken(value, resource)
    now += 61
    feed.list.push({ grantId: 'family', accessEndsAt: start + 900 })
    await expect(following.verifyAccessToken(value, resource)).rejects.toThrow(StoreUnavailableError)
    feed.sync()
    await expect(following.verifyAccessToken(value, resource)).rejects.toThrow(OAuthError)
  })

  it('a silent feed is subscribed to anew once, and then gets time to come up', async () => {
    const feed = manualFeed()
    const following = follow(feed)
    const value = await issue()
    expect(feed.subscriptions).toBe(1)
    now += 61
    for (let i = 0; i < 5; i++) {
      await expect(following.verifyAccessToken(value, resource)).rejects.toThrow(StoreUnavailableError)
    }
    expect(feed.subscriptions).toBe(2)
  })

  it('a machine that slept goes on with the first request', async () => {
    await openFamily()
    const [revoked, other] = [await issue(), await issue({ id: 'other', endsAt: 0 })]
    await verifier.verifyAccessToken(revoked, resource)
    now += 300
    await verifier.verifyAccessToken(other, resource)
    await revoke()
    now += 300
    await expectRefused(revoked)
    await verifier.verifyAccessToken(other, resource)
  })

  it('R92: a store that does not answer is told as such, and tried again', async () => {
    const feed = manualFeed()
    let isDown = true
    const failing = {
      ...feed,
      listRevocations: async () => {
        if (isDown) throw new StoreUnavailableError('down')
        return []
      },
    }
    const following = follow(failing)
    feed.sync()
    const value = await issue()
    await expect(following.verifyAccessToken(value, resource)).rejects.toThrow(StoreUnavailableError)
    isDown = false
    await following.verifyAccessToken(value, resource)
  })

  it('R92: a store that cannot be followed at start does not keep the server from starting', async () => {
    const feed = manualFeed()
    let isDown = true
    const failing: Feed = {
      ...feed,
      watchRevocations(watcher) {
        if (isDown) throw new StoreUnavailableError('down')
        return feed.watchRevocations(watcher)
      },
    }
    const following = follow(failing)
    const value = await issue()
    await expect(following.verifyAccessToken(value, resource)).rejects.toThrow(StoreUnavailableError)
    isDown = false
    await expect(following.verifyAccessToken(value, resource)).rejects.toThrow('silent')
    feed.sync()
    await following.verifyAccessToken(value, resource)
  })

  it('revocations whose last token has ended are dropped, those that count are kept', () => {
    const feed = manualFeed()
    const revoked = createRevokedGrants(feed, clock, 60)
    feed.revoke({ grantId: 'never redeemed', accessEndsAt: 0 })
    expect(revoked.has('never redeemed')).toBe(false)
    for (let i = 0; i < 900; i++) feed.revoke({ grantId: `short-${i}`, accessEndsAt: start + 1 })
    now += 1
    for (let i = 0; i < 200; i++) feed.revoke({ grantId: `long-${i}`, accessEndsAt: start + 900 })
    expect(revoked.has('short-0')).toBe(false)
    for (const id of ['long-0', 'long-199']) expect(revoked.has(id)).toBe(true)
    revoked.close()
  })

  it('after it was closed it trusts nothing', async () => {
    const value = await issue()
    await verifier.verifyAccessToken(value, resource)
    verifier.close()
    await expect(verifier.verifyAccessToken(value, resource)).rejects.toThrow(StoreUnavailableError)
  })
})
