import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bearerChallenge } from './bearer-challenge.ts'

const metadataUrl = 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp'

describe('bearerChallenge', () => {
  it('R149: without credentials there is no error, only where to go and what to ask for', () => {
    expect(bearerChallenge({ metadataUrl, scopes: ['a', 'b'] })).toBe(
      `Bearer resource_metadata="${metadataUrl}", scope="a b"`,
    )
  })

  it('R159: names the algorithms of proofs, beside Bearer as another way in, after DPoP as part of it', () => {
    const dpopAlgorithms = ['ES256', 'PS256']
    expect(bearerChallenge({ metadataUrl, scopes: ['a'], dpopAlgorithms })).toBe(
      `Bearer resource_metadata="${metadataUrl}", scope="a", DPoP algs="ES256 PS256"`,
    )
    expect(bearerChallenge({ scheme: 'DPoP', metadataUrl, scopes: ['a'], dpopAlgorithms })).toBe(
      `DPoP resource_metadata="${metadataUrl}", scope="a", algs="ES256 PS256"`,
    )
  })

  it('R149: a bad token is named as such', () => {
    expect(bearerChallenge({ error: 'invalid_token', description: 'No.', metadataUrl, scopes: ['a'] })).toBe(
      `Bearer error="invalid_token", error_description="No.", resource_metadata="${metadataUrl}", scope="a"`,
    )
  })

  it('R150: whatever a value holds, the header stays one line and the quotes stay paired', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const header = bearerChallenge({
          error: 'invalid_token',
          description: text,
          metadataUrl: text,
          scopes: [text],
        })
        expect(header).toMatch(/^Bearer (?:[a-z_]+="(?:[^"\\\r\n]|\\["\\])*"(?:, |$))+$/)
        expect(() => new Headers({ 'WWW-Authenticate': header })).not.toThrow()
      }),
    )
  })
})
