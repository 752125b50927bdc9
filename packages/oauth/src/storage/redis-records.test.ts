import { expect, it } from 'vitest'
import { recordToText } from './redis-records.ts'

it('R164: a record is one text whatever the order of its members, and none of them is lost, however deep', () => {
  const text = recordToText({ b: 1, a: { d: [{ z: 1, y: 2 }], c: 'x' } })
  expect(text).toBe('{"a":{"c":"x","d":[{"y":2,"z":1}]},"b":1}')
  expect(recordToText({ a: { c: 'x', d: [{ y: 2, z: 1 }] }, b: 1 })).toBe(text)
})
