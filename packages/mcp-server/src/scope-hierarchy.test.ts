import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createHasScopes } from './scope-hierarchy.ts'

describe('createHasScopes', () => {
  it('R156: a scope covers itself and what it includes, through any number of steps and around circles', () => {
    const has = createHasScopes({ admin: ['write'], write: ['read'], a: ['b'], b: ['a'] })
    expect(has(['admin'], ['read', 'write'])).toBe(true)
    expect(has(['read'], ['write'])).toBe(false)
    expect(has(['a'], ['b'])).toBe(true)
    expect(has([], [])).toBe(true)
    expect(has(['constructor'], ['read'])).toBe(false)
  })

  it('R156: agrees with walking the hierarchy, whatever it looks like', () => {
    const scope = fc.constantFrom('a', 'b', 'c', 'd', 'e')
    fc.assert(
      fc.property(
        fc.dictionary(scope, fc.uniqueArray(scope)),
        fc.uniqueArray(scope),
        scope,
        (implies, granted, needed) => {
          const reached = new Set(granted)
          for (const each of reached) for (const next of implies[each] ?? []) reached.add(next)
          expect(createHasScopes(implies)(granted, [needed])).toBe(reached.has(needed))
        },
      ),
    )
  })

  it('what is no list of scopes stops the start', () => {
    expect(() => createHasScopes({ a: 'b' as never })).toThrow(/^scopeHierarchy must name/)
  })
})
