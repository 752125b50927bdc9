import { expect, it } from 'vitest'
import { jsonText } from './json-text.ts'

const circular: Record<string, unknown> = {}
circular.self = circular

it.each<[string, () => unknown]>([
  [
    'The tool returned a Response: return await response.json() or response.text().',
    () => Response.json({ a: 1 }),
  ],
  ['The tool returned an error: throw it.', () => new RangeError('too far')],
  ['The tool returned a Map: return Object.fromEntries(map).', () => new Map([['a', 1]])],
  ['The tool returned a Set: return [...set].', () => new Set([1])],
  ['The tool returned bytes: return content.image', () => Buffer.from('hello')],
  ['The tool returned bytes: return content.image', () => new ArrayBuffer(2)],
  ['The tool returned bytes: return content.image', () => new Blob(['hello'])],
  ['The tool returned a stream or an iterator: read it', () => new ReadableStream()],
  ['The tool returned a stream or an iterator: read it', () => [1, 2].values()],
  [
    'The tool returned a stream or an iterator: read it',
    async function* () {
      yield 1
    },
  ],
  ['The tool returned a function: return a text', () => () => 1],
  ['The tool returned a symbol: return a text', () => Symbol('a')],
  ['The tool returned what JSON cannot hold: Do not know how to serialize a BigInt.', () => ({ n: 1n })],
  ['The tool returned what JSON cannot hold: Converting circular structure to JSON.', () => circular],
])('what would reach the model as nothing says what to return: %s', (sentence, make) => {
  expect(() => jsonText(make(), 'The tool')).toThrow(sentence)
})

class Point {
  x = 1
}
class Money {
  toJSON() {
    return '5 EUR'
  }
}
class Rows extends Map<string, number> {
  toJSON() {
    return [...this.keys()]
  }
}

it.each([
  [undefined, undefined],
  [null, 'null'],
  [false, 'false'],
  [new Date(0), '"1970-01-01T00:00:00.000Z"'],
  [Object.create(null), '{}'],
  [new Point(), '{"x":1}'],
  [new Money(), '"5 EUR"'],
  [new Rows([['a', 1]]), '["a"]'],
  [[1, { a: 2 }], '[1,{"a":2}]'],
])('%o is what JSON makes of it', (value, text) => {
  expect(jsonText(value, 'The tool')).toBe(text)
})
