import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { describe, expect, it } from 'vitest'
import { createSealer } from '../keys/sealer.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { createSigningKeys } from '../keys/signing-keys.ts'
import { systemRandom as random } from '../runtime.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { createTokenIssuer } from './issue.ts'

const now = 1_900_000_000
const clock = () => now
const signingKeys = createSigningKeys({
  store: createMemoryStore(),
  sealer: createSealer(createSecretRing(['a secret that is long enough to be one']), random),
  algorithm: 'ES256',
  clock,
})
const issuer = createTokenIssuer({
  issuer: 'https://server.example',
  signingKeys,
  clock,
  random,
})
const grant = {
  id: 'family',
  userId: 'user',
  clientId: 'https://client.example/metadata.json',
  resource: 'https://server.example/mcp',
  authTime: now - 100,
  amr: ['pwd'],
  endsAt: 0,
}

describe('access token', () => {
  it('R154: carries the type and the claims of RFC 9068, and nothing else', async () => {
    const { value, expiresAt } = await issuer.issueAccessToken({
      grant,
      scopes: ['a', 'b'],
      lifeSeconds: 900,
    })
    const { kid } = await signingKeys.active()
    expect(decodeProtectedHeader(value)).toEqual({ typ: 'at+jwt', alg: 'ES256', kid })
    expect(decodeJwt(value)).toEqual({
      iss: 'https://server.example',
      sub: 'user',
      aud: 'https://server.example/mcp',
      client_id: 'https://client.example/metadata.json',
      scope: 'a b',
      iat: now,
      exp: now + 900,
      jti: expect.stringMatching(/^[\w-]{27}$/),
      sid: 'family',
      auth_time: now - 100,
      amr: ['pwd'],
    })
    expect(expiresAt).toBe(now + 900)
  })

  it.each(['ES256', 'RS256', 'PS256', 'EdDSA'] as const)(
    'R174: with %s, a resource server that knows the JWKS only verifies it through jose',
    async algorithm => {
      const keys = createSigningKeys({
        store: createMemoryStore(),
        sealer: createSealer(createSecretRing(['a secret that is long enough to be one']), random),
        algorithm,
        clock,
      })
      const parts = { issuer: 'https://server.example', clock, random }
      const { value } = await createTokenIssuer({ ...parts, signingKeys: keys }).issueAccessToken({
        grant,
        scopes: [],
        lifeSeconds: 900,
      })
      const { payload, protectedHeader } = await jwtVerify(value, createLocalJWKSet(await keys.jwks()), {
        algorithms: [algorithm],
        typ: 'at+jwt',
        currentDate: new Date(now * 1000),
      })
      expect(protectedHeader.alg).toBe(algorithm)
      expect(payload.sub).toBe('user')
    },
  )

  it('leaves out what the sign-in did not say', async () => {
    const { value } = await issuer.issueAccessToken({
      grant: { ...grant, amr: [] },
      scopes: [],
      lifeSeconds: 900,
    })
    expect(decodeJwt(value)).not.toHaveProperty('amr')
    expect(decodeJwt(value)).toHaveProperty('scope', '')
  })

  it.each([
    ['ends before it would', now + 60, now + 60],
    ['ends after it', now + 9_000, now + 900],
    ['has no end', 0, now + 900],
  ])('R110: when the session %s', async (_, endsAt, expected) => {
    const { value, expiresAt } = await issuer.issueAccessToken({
      grant: { ...grant, endsAt },
      scopes: [],
      lifeSeconds: 900,
    })
    expect(expiresAt).toBe(expected)
    expect(decodeJwt(value).exp).toBe(expected)
  })

  it('R176: no two tokens have the same jti', async () => {
    const tokens = await Promise.all(
      Array.from({ length: 200 }, () => issuer.issueAccessToken({ grant, scopes: [], lifeSeconds: 900 })),
    )
    expect(new Set(tokens.map(({ value }) => decodeJwt(value).jti)).size).toBe(200)
  })
})
