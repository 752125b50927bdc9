import { UriTemplate } from '@modelcontextprotocol/server'
import { array, assert, constantFrom, property, string } from 'fast-check'
import { expect, it } from 'vitest'
import { compileUriPattern } from './uri-pattern.ts'

const pieces = ['{a}', '{b*}', '{+c}', '{#d*}', '{.e*}', '{/f}', '{/g*}', '{?h,i}', '{&j*}', '{k,l}']
const texts = ['-', '.', '/', ',', 'x', '?', '&h=', '1\n']
const templates = array(constantFrom(...pieces, ...texts), { minLength: 1, maxLength: 6 }).map(
  parts =>
    // Each variable once, and always something before the first.
    `x:${parts.filter((part, index) => !part.startsWith('{') || parts.indexOf(part) === index).join('')}`,
)
const uris = string({ unit: constantFrom(...'-./,x?&hij=1\n'), maxLength: 14 }).map(rest => `x:${rest}`)

it('reads of a URI what the SDK does', () => {
  let fitting = 0
  assert(
    property(templates, uris, (template, uri) => {
      const expected = new UriTemplate(template).match(uri)
      const read = compileUriPattern(template)(uri)
      if (expected) fitting++
      expect(read && Object.fromEntries(read)).toEqual(expected ?? undefined)
    }),
    { numRuns: 5_000 },
  )
  expect(fitting).toBeGreaterThan(100)
})
