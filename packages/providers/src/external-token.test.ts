import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { accessEndsAt, createExternalToken, isAlive, isFresh } from './external-token.ts'

const now = 1_800_000_000

describe('freshness', () => {
  it.each([
    ['an hour: 5 minutes and a second left', 3600, 301, true],
    ['an hour: 5 minutes left', 3600, 300, false],
    ['10 minutes: 61 seconds left', 600, 61, true],
    ['10 minutes: 60 seconds left', 600, 60, false],
    ['60 days: 5 minutes and a second left', 60 * 86_400, 301, true],
    ['a life of nothing', 0, 0, false],
  ])('of a token that lives %s', (_, lifeSeconds, left, expected) => {
    expect(isFresh({ endsAt: now + left, lifeSeconds, now })).toBe(expected)
  })

  it('a token that does not end by itself is always fresh', () => {
    expect(isFresh({ endsAt: 0, lifeSeconds: 0, now })).toBe(true)
    expect(isAlive({ endsAt: 0, now })).toBe(true)
  })

  it('a token lives until the second it ends', () => {
    expect(isAlive({ endsAt: now + 1, now })).toBe(true)
    expect(isAlive({ endsAt: now, now })).toBe(false)
  })

  it.each([
    ['as the reply says', 60, 3600, now + 60],
    ['as usual when the reply does not say', undefined, 3600, now + 3600],
    ['as usual when the reply says nothing useful', 0, 3600, now + 3600],
    ['never, when nobody says', undefined, 0, 0],
  ])('a token ends %s', (_, expiresIn, usual, end) => {
    expect(accessEndsAt(expiresIn, usual, now)).toBe(end)
  })
})

describe('R192: a token does not show itself by accident', () => {
  const token = createExternalToken({ value: 'canary-token', expiresAt: now, scopes: ['a'] })

  it.each<[string, () => unknown]>([
    ['JSON.stringify', () => JSON.stringify({ token })],
    ['util.inspect', () => inspect({ token }, { showHidden: true, depth: 9 })],
    ['a string template', () => `${token}`],
    ['String', () => String(token)],
    ['concatenation', () => `Bearer ${token as unknown as string}`],
    ['a copy by spread', () => JSON.stringify(Object.entries({ ...token }))],
    ['an error message', () => new Error(`failed with ${token}`).message],
    ['a structured clone', () => JSON.stringify(structuredClone(token))],
  ])('%s', (_, show) => {
    expect(show()).not.toContain('canary-token')
  })

  it('and is read on purpose', () => {
    expect(token.value).toBe('canary-token')
    expect(token).toMatchObject({ expiresAt: now, scopes: ['a'] })
  })
})
