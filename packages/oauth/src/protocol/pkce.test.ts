import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isCodeVerifier, isS256CodeChallenge, matchesCodeChallenge } from './pkce.ts'

// RFC 7636 appendix B
const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'

describe('PKCE', () => {
  it('R99: the verifier of RFC 7636 appendix B opens its challenge', () => {
    expect(isCodeVerifier(verifier)).toBe(true)
    expect(isS256CodeChallenge(challenge)).toBe(true)
    expect(matchesCodeChallenge(verifier, challenge)).toBe(true)
  })

  it.each([
    ['', false],
    ['a'.repeat(42), false],
    ['a'.repeat(43), true],
    ['a'.repeat(44), false],
    ['a'.repeat(128), false],
    [`${'a'.repeat(42)}=`, false],
    [`${'a'.repeat(42)}.`, false],
    [`${'a'.repeat(42)}~`, false],
    [`${'a'.repeat(42)}+`, false],
    [`${'a'.repeat(43)}\n`, false],
    [`${'a'.repeat(42)}é`, false],
  ])('R43: whether %j is an S256 challenge: %s', (value, expected) => {
    expect(isS256CodeChallenge(value)).toBe(expected)
  })

  it.each([
    ['', false],
    ['a'.repeat(42), false],
    ['a'.repeat(43), true],
    ['-._~'.repeat(32), true],
    ['a'.repeat(129), false],
    [`${'a'.repeat(43)}+`, false],
    [`${'a'.repeat(43)} `, false],
    [`${'a'.repeat(43)}\n`, false],
    [`${'a'.repeat(43)}é`, false],
  ])('R99: whether %j is a code verifier: %s', (value, expected) => {
    expect(isCodeVerifier(value)).toBe(expected)
  })

  it.each([challenge, '', challenge.slice(1), `${challenge}=`, 'é'.repeat(43), challenge.toLowerCase()])(
    'R99: %j does not open the challenge, nor does it throw',
    value => {
      expect(matchesCodeChallenge(value, challenge)).toBe(false)
      expect(matchesCodeChallenge(verifier, value)).toBe(value === challenge)
    },
  )

  it('R99: no other verifier opens a challenge', () => {
    const unreserved = fc.stringMatching(/^[A-Za-z0-9._~-]{43,128}$/)
    fc.assert(
      fc.property(unreserved, other => {
        expect(matchesCodeChallenge(other, challenge)).toBe(other === verifier)
      }),
    )
  })
})
