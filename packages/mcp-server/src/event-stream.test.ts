import { expect, it } from 'vitest'
import { eventOf, mapMessages } from './event-stream.ts'

/** A stream that brings bytes in pieces of a size. */
const inPieces = (bytes: Uint8Array, size: number) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.subarray(at, at + size))
      controller.close()
    },
  })

const said = (message: string) => ({ jsonrpc: '2.0', method: 'notifications/message', params: { message } })

it.each([1, 7, 10_000])('messages are whole however they arrive: in pieces of %i bytes', async size => {
  // A line separator ends no line of an event stream, and a piece may end within a letter.
  const texts = ['plain', 'line\u2028separator\u2029', 'é ✓ 𝄞', 'a\n\nb']
  const comment = new TextEncoder().encode(': keepalive\n\n')
  const all = Buffer.concat([comment, ...texts.map(text => eventOf(said(text))), eventOf(said('left out'))])
  const stream = mapMessages(inPieces(all, size), message => {
    const text = message.params?.message
    if (text === 'left out') return undefined
    return text === 'plain' ? { ...message, changed: true } : message
  })
  const expected = [
    comment,
    eventOf({ ...said('plain'), changed: true }),
    ...texts.slice(1).map(text => eventOf(said(text))),
  ]
  expect(await new Response(stream).text()).toBe(Buffer.concat(expected).toString())
})

it('who stops reading stops the source', async () => {
  const reasons: unknown[] = []
  const source = new ReadableStream<Uint8Array>({ cancel: reason => void reasons.push(reason) })
  await mapMessages(source, message => message).cancel('gone')
  expect(reasons).toEqual(['gone'])
})
