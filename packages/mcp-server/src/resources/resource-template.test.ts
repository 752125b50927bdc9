import { describe, expect, it } from 'vitest'
import { compileTemplate } from './resource-template.ts'

describe('variables of a URI', () => {
  it.each<[string, string, object | undefined]>([
    ['x://{id}', 'x://1', { id: '1' }],
    ['x://{id}', 'x://a%20b', { id: 'a b' }],
    ['x://{a}/y/{b}', 'x://1/y/2', { a: '1', b: '2' }],
    ['x://{+path}', 'x://a/b', { path: 'a/b' }],
    ['x://{id}', 'x://1/2', undefined],
    ['x://{a}-{b}', 'x://1-2-3', { a: '1-2', b: '3' }],
    ['x://{ids*}', 'x://1,2', { ids: ['1', '2'] }],
    ['x://{id}{?q,page}', 'x://1?q=a%26b&page=2', { id: '1', q: 'a&b', page: '2' }],
    ['x://{id}', 'y://1', undefined],
  ])('%s of %s', (template, uri, variables) => {
    expect(compileTemplate(template).match(uri)).toEqual(variables)
  })

  it.each([
    ['a path hidden in one segment', 'x://{id}', 'x://..%2F..%2Fetc'],
    ['the folder above', 'x://{id}', 'x://%2e%2e'],
    ['a backslash', 'x://{id}', 'x://a%5Cb'],
    ['the folder above inside a path', 'x://{+path}', 'x://a/../b'],
    ['an encoded one', 'x://{+path}', 'x://a/%2e%2e/b'],
    ['a zero byte', 'x://{id}', 'x://a%00'],
    ['half an escape', 'x://{id}', 'x://%'],
    ['an overlong URI', 'x://{id}', `x://${'a'.repeat(2_000_000)}`],
  ])('a handler never gets %s', (_, template, uri) => {
    expect(compileTemplate(template).match(uri)).toBeUndefined()
  })
})

it('R196: a URI that can be shared between variables in very many ways is read in one go', () => {
  const { match } = compileTemplate('x://{a}-{b}-{c}-{d}')
  expect(match(`x://${'-'.repeat(16_000)}/`)).toBeUndefined()
  expect(match(`x://${'-'.repeat(16_000)}`)).toMatchObject({ b: '-', d: '-' })
})

it('an expression without a variable stops at start', () => {
  expect(() => compileTemplate('x://{}')).toThrow(/not a URI template/)
})
