import { decodeJwt, decodeProtectedHeader } from 'jose'
import { describe, expect, it } from 'vitest'
import { createSealer } from '../keys/sealer.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { createSigningKeys } from '../keys/signing-keys.ts'
import { systemRandom as random } from '../runtime.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { createIdTokenIssuer, readIdTokenHint } from './id-token.ts'
import { createTokenIssuer } from './issue.ts'

const now = 1_900_000_000
const clock = () => now
const newKeys = () =>
  createSigningKeys({
    store: createMemoryStore(),
    sealer: createSealer(createSecretRing(['a secret that is long enough to be one']), random),
    algorithm: 'ES256',
    clock,
  })
const signingKeys = newKeys()
const issuer = 'https://server.example'
const { issueIdToken } = createIdTokenIssuer({ issuer, signingKeys, clock })
const parts = { issuer, signingKeys }
const grant = {
  id: 'family',
  userId: 'user',
  clientId: 'client',
  resource: `${issuer}/mcp`,
  authTime: now - 100,
  amr: ['pwd'],
  acr: 'silver',
  endsAt: 0,
}

describe('id_token', () => {
  it('R155: has a type of its own, the client as audience, and says who, when and how', async () => {
    const value = await issueIdToken({ grant, nonce: 'n-1' })
    const { kid } = await signingKeys.active()
    expect(decodeProtectedHeader(value)).toEqual({ typ: 'JWT', alg: 'ES256', kid })
    expect(decodeJwt(value)).toEqual({
      iss: issuer,
      sub: 'user',
      aud: 'client',
      iat: now,
      exp: now + 3600,
      auth_time: now - 100,
      nonce: 'n-1',
      amr: ['pwd'],
      acr: 'silver',
      sid: 'family',
    })
  })

  it('leaves out what the sign-in did not say, and ends with its session', async () => {
    const bare = { id: 'family', userId: 'user', clientId: 'client', amr: [], endsAt: now + 60 }
    expect(decodeJwt(await issueIdToken({ grant: bare }))).toEqual({
      iss: issuer,
      sub: 'user',
      aud: 'client',
      iat: now,
      exp: now + 60,
      sid: 'family',
    })
  })
})

describe('id_token_hint', () => {
  it('names the session, also when the id_token ended long ago', async () => {
    const hint = await issueIdToken({ grant: { ...grant, endsAt: now - 86_400 } })
    expect(await readIdTokenHint(parts, hint)).toEqual({ clientId: 'client', grantId: 'family' })
  })

  it('R119: nothing but an id_token that we signed names a session', async () => {
    const tokens = createTokenIssuer({ issuer, signingKeys, clock, random })
    const access = await tokens.issueAccessToken({ grant, scopes: ['openid'], lifeSeconds: 900 })
    const other = { issuer: 'https://other.example', signingKeys, clock }
    const good = await issueIdToken({ grant })
    const [header, payload, signature] = good.split('.')
    const forged = Buffer.from(JSON.stringify({ ...decodeJwt(good), sid: 'theirs' })).toString('base64url')
    const none = Buffer.from(JSON.stringify({ ...decodeProtectedHeader(good), alg: 'none' })).toString(
      'base64url',
    )
    for (const [name, value] of Object.entries({
      'an access token': access.value,
      'of another issuer': await createIdTokenIssuer(other).issueIdToken({ grant }),
      'of other keys': await createIdTokenIssuer({ issuer, signingKeys: newKeys(), clock }).issueIdToken({
        grant,
      }),
      'other claims': `${header}.${forged}.${signature}`,
      'no signature': `${none}.${payload}.`,
      'no token': 'canary',
      'too long': `${good}${'A'.repeat(8192)}`,
    })) {
      expect(await readIdTokenHint(parts, value), name).toBeUndefined()
    }
  })
})
