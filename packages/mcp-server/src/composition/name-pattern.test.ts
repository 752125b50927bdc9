import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fitsPattern } from './name-pattern.ts'

describe('patterns of names', () => {
  it.each([
    ['admin-*', 'admin-delete', true],
    ['admin-*', 'admin-', true],
    ['admin-*', 'my-admin-delete', false],
    ['*-delete', 'admin-delete', true],
    ['*-delete', 'admin-delete-all', false],
    ['a*b*c', 'abc', true],
    ['a*b*c', 'acb', false],
    ['a*a', 'a', false],
    ['*', '', true],
    ['a.c', 'abc', false],
    ['notes://{id}', 'notes://{id}', true],
  ])('%s and %s: %s', (pattern, name, fits) => {
    expect(fitsPattern(pattern, name)).toBe(fits)
  })

  it('a guard by name guards what a regular expression of the same meaning would', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '*', '-'), maxLength: 8 })
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 8 })
    fc.assert(
      fc.property(text, name, (pattern, value) => {
        const same = new RegExp(`^${pattern.replaceAll('*', '.*')}$`)
        expect(fitsPattern(pattern, value)).toBe(same.test(value))
      }),
    )
  })
})
