import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatScope, parseScope } from './scope.ts'

describe('parseScope', () => {
  it.each<[string, string[]]>([
    ['notes:read', ['notes:read']],
    ['b a b', ['b', 'a']],
    [
      'https://www.googleapis.com/auth/calendar.readonly !#[]~',
      ['https://www.googleapis.com/auth/calendar.readonly', '!#[]~'],
    ],
  ])('R55: %s is read in its order, each scope once', (value, scopes) => {
    expect(parseScope(value)).toEqual(scopes)
  })

  it.each([
    '',
    ' ',
    ' a',
    'a ',
    'a  b',
    'a\tb',
    'a\nb',
    'a\n',
    'a"b',
    'a\\b',
    'é',
    'a\u00a0b',
    'a\u007f',
    'a'.repeat(4097),
  ])('R55: %j is no scope', value => {
    expect(parseScope(value)).toBeUndefined()
  })

  it('R55: more than 100 scopes are refused', () => {
    const scopes = Array.from({ length: 101 }, (_, index) => `s${index}`)
    expect(parseScope(scopes.join(' '))).toBeUndefined()
    expect(parseScope(scopes.slice(1).join(' '))).toHaveLength(100)
  })

  it('R55: what is written is read again', () => {
    const scopes = fc.uniqueArray(fc.stringMatching(/^[\x21\x23-\x5b\x5d-\x7e]+$/), {
      minLength: 1,
      maxLength: 20,
    })
    fc.assert(
      fc.property(scopes, list => {
        fc.pre(formatScope(list).length <= 4096)
        expect(parseScope(formatScope(list))).toEqual(list)
      }),
    )
  })
})
