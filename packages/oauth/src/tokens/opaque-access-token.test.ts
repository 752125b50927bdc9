import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createSealer } from '../keys/sealer.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { systemRandom as random } from '../runtime.ts'
import { createOpaqueAccessTokens } from './opaque-access-token.ts'

const older = 'an older secret, long enough to be one'
const newer = 'a newer secret, long enough to be one!'
const issuer = 'https://server.example'
const tokensOf = (secrets: string[], change: { issuer?: string; tenant?: string } = {}) =>
  createOpaqueAccessTokens({
    issuer,
    tenant: 'default',
    secrets: createSecretRing(secrets),
    random,
    ...change,
  })
const jwt = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnktdXNlciJ9.c2lnbmF0dXJl'

describe('opaque access token', () => {
  it('gives back the JWT, whatever is in it, and fits into an Authorization header', () => {
    const tokens = tokensOf([newer])
    fc.assert(
      fc.property(fc.stringMatching(/^[\w-]{1,80}\.[\w-]{1,2000}\.[\w-]{0,400}$/), value => {
        const sealed = tokens.seal(value)
        expect(sealed).toMatch(/^sp_at_[A-Za-z0-9\-._~+/]+=*$/)
        expect(tokens.open(sealed)).toBe(value)
      }),
    )
  })

  it('shows nothing of the JWT, in whichever way it is decoded, nor that two tokens are alike', () => {
    const tokens = tokensOf([newer])
    const sealed = [tokens.seal(jwt), tokens.seal(jwt)]
    const secretParts = [...jwt.split('.'), 'canary-user', 'sub', 'ES256', 'signature']
    for (const token of sealed) {
      const segments = token.split(/[._]/)
      const decoded = segments.flatMap(segment =>
        (['base64url', 'hex', 'latin1'] as const).map(encoding =>
          Buffer.from(segment, encoding).toString('latin1'),
        ),
      )
      for (const text of [token, ...decoded]) {
        for (const part of secretParts.filter(({ length }) => length > 3)) expect(text).not.toContain(part)
      }
    }
    const bodies = sealed.map(token => Buffer.from(token.split('.').at(-1)!, 'base64url'))
    const same = bodies[0]!.filter((byte, i) => byte === bodies[1]![i]).length
    // Of 90 bytes by chance less than one is the same: a reused key stream would show in almost all of them.
    expect(same).toBeLessThan(bodies[0]!.length / 4)
  })

  it('R154: with any character changed it is no token of ours', () => {
    const tokens = tokensOf([newer])
    const sealed = tokens.seal(jwt)
    fc.assert(
      fc.property(fc.nat(sealed.length - 2), position => {
        const changed =
          sealed.slice(0, position) + (sealed[position] === 'A' ? 'B' : 'A') + sealed.slice(position + 1)
        // Without the prefix it is taken for a JWT, which it is not either.
        expect([undefined, changed]).toContain(tokens.open(changed))
        expect(tokens.open(changed)).not.toBe(jwt)
      }),
    )
  })

  it.each([
    ['of another issuer', tokensOf([newer], { issuer: 'https://other.example' })],
    ['of another tenant', tokensOf([newer], { tenant: 'sandbox' })],
    ['of a server with another secret', tokensOf([older])],
  ])('R153: a token %s does not open', (_, theirs) => {
    expect(tokensOf([newer]).open(theirs.seal(jwt))).toBeUndefined()
  })

  it('R175: what is sealed for the store is no access token, even in its place', () => {
    const sealer = createSealer(createSecretRing([newer]), random)
    const sealed = sealer.seal(jwt, { tenant: 'default', kind: 'access-token', id: issuer })
    expect(tokensOf([newer]).open(`sp_at_${sealed}`)).toBeUndefined()
  })

  it('R178: what an older secret sealed opens until that secret leaves the ring', () => {
    const sealed = tokensOf([older]).seal(jwt)
    expect(tokensOf([newer, older]).open(sealed)).toBe(jwt)
    expect(tokensOf([older, newer]).open(tokensOf([newer, older]).seal(jwt))).toBe(jwt)
    expect(tokensOf([newer]).open(sealed)).toBeUndefined()
  })

  it.each(['sp_at_', 'sp_at_s1', 'sp_at_s1..', `sp_at_${jwt}`, `sp_at_${'x'.repeat(300_000)}`])(
    'R154: %.20s is none',
    value => {
      expect(tokensOf([newer]).open(value)).toBeUndefined()
    },
  )
})
