import { ConfigurationError } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { type AnyAuth, accessRule, mergeRules } from './access-rule.ts'

describe('accessRule', () => {
  it('an empty auth still asks for a signed-in user', () => {
    expect(accessRule({}, 'tool "t"')).toEqual({
      scopes: [],
      anonymous: false,
      clients: false,
      providers: new Map(),
    })
  })

  it('names providers with their scopes, and scopes once', () => {
    const rule = accessRule({ scopes: ['a', 'a', 'b'], google: ['x', 'y'] }, 'tool "t"')
    expect(rule).toEqual({
      scopes: ['a', 'b'],
      anonymous: false,
      clients: false,
      providers: new Map([['google', ['x', 'y']]]),
    })
  })

  it.each<[string, AnyAuth]>([
    ['a scope with a space', { scopes: ['a b'] }],
    ['a scope with a quote', { scopes: ['a"b'] }],
    ['a scope with a line break', { scopes: ['a\r\nb'] }],
    ['an empty scope', { scopes: [''] }],
    ['a provider with true', { google: true }],
    ['scopes as text', { scopes: 'a' as unknown as string[] }],
    ['clients as text', { clients: 'yes' as unknown as boolean }],
    ['R115: clients for a tool that needs a provider', { clients: true, google: ['x'] }],
    ['R115: clients for a tool that needs a provider, whatever of it', { clients: true, google: [] }],
    ['an age of 0', { maxAgeSeconds: 0 }],
    ['an age that is no number', { maxAgeSeconds: '5' as unknown as number }],
    ['an age in parts of seconds', { maxAgeSeconds: 1.5 }],
    ['anonymous as text', { anonymous: 'yes' as unknown as boolean }],
  ])('R150: %s is refused at start, before it can reach a header', (_, auth) => {
    expect(() => accessRule(auth, 'tool "t"')).toThrow(ConfigurationError)
  })
})

describe('mergeRules', () => {
  it('a protection declared twice never gets weaker', () => {
    const a = accessRule({ scopes: ['a'], anonymous: true, google: ['x'] }, 't')
    const b = accessRule({ scopes: ['b'], google: ['y'], linkedin: ['z'] }, 't')
    const both = {
      scopes: ['a', 'b'],
      anonymous: false,
      clients: false,
      providers: new Map([
        ['google', ['x', 'y']],
        ['linkedin', ['z']],
      ]),
    }
    expect(mergeRules(a, b)).toEqual(both)
    const open = accessRule({ clients: true }, 't')
    expect(mergeRules(open, open)?.clients).toBe(true)
    expect(mergeRules(open, b)?.clients).toBe(false)
    expect(mergeRules(a, open)?.clients).toBe(false)
    const aged = (maxAgeSeconds: number) => accessRule({ maxAgeSeconds }, 't')
    expect(mergeRules(aged(60), aged(30))?.maxAgeSeconds).toBe(30)
    expect(mergeRules(a, aged(60))?.maxAgeSeconds).toBe(60)
    expect(mergeRules(a, undefined)).toBe(a)
    expect(mergeRules(undefined, b)).toBe(b)
    expect(mergeRules(undefined, undefined)).toBeUndefined()
  })
})
