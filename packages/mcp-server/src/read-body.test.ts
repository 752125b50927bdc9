import { describe, expect, it } from 'vitest'
import { maxJsonDepth, parseJson, RequestAbortedError, readBody } from './read-body.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

/** A body that arrives in pieces, without a length. */
const chunked = (...pieces: string[]) => {
  let pulled = 0
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces[pulled++]
      if (piece === undefined) controller.close()
      else controller.enqueue(bytes(piece))
    },
  })
  const request = new Request('http://localhost/mcp', { method: 'POST', body, duplex: 'half' } as RequestInit)
  return { request, pulled: () => pulled }
}

describe('readBody', () => {
  it('a body up to the limit arrives whole', async () => {
    expect(await readBody(chunked('abc', 'de').request, 5)).toEqual(bytes('abcde'))
    expect(await readBody(new Request('http://localhost/', { method: 'POST' }), 5)).toEqual(new Uint8Array())
  })

  it('R196: one byte more is refused, though no length was announced', async () => {
    expect(await readBody(chunked('abc', 'def').request, 5)).toBeUndefined()
  })

  it('R196: reading stops where the limit is passed, however much would follow', async () => {
    const { request, pulled } = chunked(...Array.from({ length: 1000 }, () => 'x'.repeat(1000)))
    expect(await readBody(request, 2_000)).toBeUndefined()
    expect(pulled()).toBeLessThan(10)
  })

  it('R196: a length that lies below the limit does not help', async () => {
    const { request } = chunked('abc', 'def')
    const lying = new Request(request, { headers: { 'content-length': '1' } })
    expect(await readBody(lying, 5)).toBeUndefined()
  })

  it('a client that goes away before its body is whole is told apart from a fault of the server', async () => {
    for (const headers of [{}, { 'content-length': '3' }]) {
      const body = new ReadableStream({ pull: controller => controller.error(new Error('aborted')) })
      const request = new Request('http://localhost/', {
        method: 'POST',
        body,
        headers,
        duplex: 'half',
      } as RequestInit)
      await expect(readBody(request, 5)).rejects.toThrow(RequestAbortedError)
    }
  })

  it('R196: an announced length over the limit is refused unread', async () => {
    const { request } = chunked('abc')
    const announced = new Request(request, { headers: { 'content-length': '6' } })
    expect(await readBody(announced, 5)).toBeUndefined()
    expect(announced.bodyUsed).toBe(false)
  })
})

describe('parseJson', () => {
  it.each(['{"a":[1,{"b":"]}"}]}', '"\\"[["', '[]', 'null'])('reads %s', text => {
    expect(parseJson(bytes(text))).toEqual(JSON.parse(text))
  })

  it.each(['', '{', 'undefined', '{"a":1}x'])('%s is not JSON', text => {
    expect(parseJson(bytes(text))).toBeUndefined()
  })

  it('bytes that are not UTF-8 are not JSON', () => {
    expect(parseJson(new Uint8Array([0x22, 0xff, 0x22]))).toBeUndefined()
  })

  it('R196: JSON nested deeper than any call is refused', () => {
    const nested = (depth: number) => bytes('['.repeat(depth) + ']'.repeat(depth))
    expect(parseJson(nested(maxJsonDepth))).toBeDefined()
    expect(parseJson(nested(maxJsonDepth + 1))).toBeUndefined()
    expect(parseJson(bytes('{"a":'.repeat(200_000)))).toBeUndefined()
  })
})
