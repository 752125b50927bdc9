import { describe, expect, it } from 'vitest'
import { OAuthError } from '../errors.ts'
import { parseJsonObject, parseQuery, readForm, readJsonObject, single } from './parameters.ts'

const form = (body: RequestInit['body'], contentType = 'application/x-www-form-urlencoded', headers = {}) =>
  new Request('https://mcp.example.com/oauth/token?client_secret=from-query', {
    method: 'POST',
    headers: { 'Content-Type': contentType, ...headers },
    body,
    duplex: 'half',
  } as RequestInit)

const refusal = async (promise: Promise<unknown>): Promise<[string, number]> => {
  const error = await promise.catch((reason: unknown) => reason)
  if (!(error instanceof OAuthError)) throw new Error('was not refused')
  return [error.code, error.status]
}

/** A body that counts how much of it was asked for. */
const endless = () => {
  const chunk = new TextEncoder().encode('a=b&'.repeat(1024))
  const counted = { bytes: 0, cancelled: false }
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      counted.bytes += chunk.byteLength
      controller.enqueue(chunk)
    },
    cancel() {
      counted.cancelled = true
    },
  })
  return { stream, counted }
}

describe('readForm', () => {
  it.each([
    'application/x-www-form-urlencoded',
    'application/x-www-form-urlencoded;charset=UTF-8',
    'application/x-www-form-urlencoded; charset="utf-8"',
    'Application/X-WWW-Form-URLEncoded; charset=utf8',
  ])('R82: a form sent as %s is read', async contentType => {
    expect([...(await readForm(form('a=1&b=x+y%2Bz%C3%A9&c', contentType)))]).toEqual([
      ['a', '1'],
      ['b', 'x y+zé'],
      ['c', ''],
    ])
  })

  it.each([
    'multipart/form-data; boundary=x',
    'application/json',
    'text/plain',
    'a/b, application/x-www-form-urlencoded',
    'application/x-www-form-urlencoded, a/b',
    'application/x-www-form-urlencoded; charset=iso-8859-1',
    'application/x-www-form-urlencoded; boundary=x',
    'application/x-www-form-urlencodedx',
  ])('R82: a body sent as %s is no form', async contentType => {
    expect(await refusal(readForm(form('a=1', contentType)))).toEqual(['invalid_request', 415])
  })

  it('R82: a body without media type, and a compressed one, are no form', async () => {
    const bare = form('a=1')
    bare.headers.delete('content-type')
    expect(await refusal(readForm(bare))).toEqual(['invalid_request', 415])
    const compressed = form('a=1', undefined, { 'Content-Encoding': 'gzip' })
    expect(await refusal(readForm(compressed))).toEqual(['invalid_request', 415])
  })

  it('R82: an endless body is cut off after 64 KB', async () => {
    const { stream, counted } = endless()
    expect(await refusal(readForm(form(stream)))).toEqual(['invalid_request', 413])
    expect(counted.bytes).toBeLessThan(100_000)
    expect(counted.cancelled).toBe(true)
  })

  it('R82: the limit counts bytes, and not what Content-Length says', async () => {
    const long = `a=${'é'.repeat(32_767)}`
    expect((await readForm(form(long))).get('a')).toHaveLength(32_767)
    expect(await refusal(readForm(form(`${long}é`, undefined, { 'Content-Length': '3' })))).toEqual([
      'invalid_request',
      413,
    ])
  })

  it('R82: a body that is announced as too large is not read', async () => {
    const { stream, counted } = endless()
    const announced = form(stream, undefined, { 'Content-Length': '65537' })
    expect(await refusal(readForm(announced))).toEqual(['invalid_request', 413])
    expect(announced.bodyUsed).toBe(false)
    expect(counted.bytes).toBeLessThan(100_000)
  })

  it.each(['', '-1', '1e1', 'five'])('R82: Content-Length %j announces nothing', async length => {
    const { stream } = endless()
    const request = form(stream, undefined, { 'Content-Length': length })
    expect(await refusal(readForm(request))).toEqual(['invalid_request', 413])
  })

  it.each([
    ['broken UTF-8', new Uint8Array([0x61, 0x3d, 0xff])],
    ['an overlong sequence', new Uint8Array([0x61, 0x3d, 0xc0, 0xaf])],
    ['percent-encoded broken UTF-8', 'a=%ff'],
    ['a lone percent sign', 'a=100%'],
    ['65 parameters', Array.from({ length: 65 }, (_, index) => `a${index}=1`).join('&')],
  ])('R82: %s is refused and not repaired', async (_, body) => {
    expect(await refusal(readForm(form(body)))).toEqual(['invalid_request', 400])
  })

  it('R82: nothing is taken from the query', async () => {
    expect((await readForm(form('a=1'))).has('client_secret')).toBe(false)
  })

  it('R82: an empty body is an empty form', async () => {
    expect((await readForm(form(null))).size).toBe(0)
  })
})

describe('parseQuery', () => {
  it.each<[string, [string, string][]]>([
    ['https://mcp.example.com/authorize', []],
    ['/authorize?', []],
    [
      '/authorize?a=1&b=2#c=3',
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
    [
      '/authorize?state=a+b%20c%2B&&x',
      [
        ['state', 'a b c+'],
        ['x', ''],
      ],
    ],
    ['/authorize?a=b=c?d', [['a', 'b=c?d']]],
    ['/authorize#?a=1', [['a', '1']]],
  ])('R45: reads %s from the raw query', (url, expected) => {
    expect([...parseQuery(url)]).toEqual(expected)
  })

  it.each(['?state=%ff', '?state=%c3', '?state=%', '?%zz=1'])(
    'R46: %s, which could not come back as it was, is refused',
    url => {
      expect(() => parseQuery(url)).toThrow(OAuthError)
    },
  )
})

describe('single', () => {
  const of = (query: string) => single(new URLSearchParams(query))

  it('R45, R83: a parameter has one value, and an empty one is absent', () => {
    const parameters = of('a=1&b=&resource=x&resource=&resource=y')
    expect(parameters.get('a')).toBe('1')
    expect(parameters.get('b')).toBeUndefined()
    expect(parameters.get('c')).toBeUndefined()
    expect(parameters.get('constructor')).toBeUndefined()
    expect(parameters.getAll('resource')).toEqual(['x', 'y'])
    expect(parameters.getAll('c')).toEqual([])
  })

  it.each([
    'code=a&code=b',
    'code=a&code=a',
    'code=&code=a',
    'code=a&x=1&c%6fde=',
    'foo=1&foo=2',
    '__proto__=1&__proto__=2',
  ])('R45, R83: %s is refused', query => {
    expect(() => of(query)).toThrow('invalid_request')
  })

  it('R45: only resource may be repeated, or nothing at all', () => {
    expect(() => single(new URLSearchParams('resource=a&resource=b'), { repeatable: [] })).toThrow(
      'invalid_request',
    )
  })
})

describe('readJsonObject', () => {
  it('R14: an object is read, whatever its members', async () => {
    expect(
      await readJsonObject(form('{"a":[1,{"b":null}]}', 'application/json; charset=utf-8'), 100),
    ).toEqual({
      a: [1, { b: null }],
    })
  })

  it.each([
    ['null', 'null'],
    ['a list', '[{}]'],
    ['a string', '"{}"'],
    ['a number', '1'],
    ['nothing', ''],
    ['half an object', '{"a":'],
    ['two objects', '{}{}'],
    ['17 levels', `${'{"a":'.repeat(17)}1${'}'.repeat(17)}`],
    ['17 levels behind a quote', `{"\\"[":${'['.repeat(16)}${']'.repeat(16)}}`],
  ])('R14: %s is refused', async (_, body) => {
    expect(await refusal(readJsonObject(form(body, 'application/json'), 1000))).toEqual([
      'invalid_request',
      400,
    ])
  })

  it('R14: brackets inside strings nest nothing', () => {
    expect(parseJsonObject(JSON.stringify({ a: '[{'.repeat(20), 'b\\"[': ['"[[['] }))).toBeDefined()
  })

  it.each([
    'application/x-www-form-urlencoded',
    'text/json',
    'application/json, text/plain',
    'application/problem+json',
  ])('R14: %s is not JSON', async contentType => {
    expect(await refusal(readJsonObject(form('{}', contentType), 100))).toEqual(['invalid_request', 415])
  })

  it('R14: more bytes than allowed are not read', async () => {
    const { stream, counted } = endless()
    expect(await refusal(readJsonObject(form(stream, 'application/json'), 5000))).toEqual([
      'invalid_request',
      413,
    ])
    expect(counted.bytes).toBeLessThan(30_000)
  })
})
