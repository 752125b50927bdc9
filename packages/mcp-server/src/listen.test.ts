import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { tooLargeResponse } from './body-limit.ts'
import { type Listener, listen } from './listen.ts'
import { readBody } from './read-body.ts'

let listener: Listener | undefined
afterEach(() => listener?.close(0))

const start = async (handle: Parameters<typeof listen>[0]) => {
  listener = await listen(handle, { port: 0, host: '127.0.0.1' })
  return listener.port
}

/** Writes raw bytes and returns everything that came back until the server closed the connection. */
const raw = (port: number, ...pieces: string[]) =>
  new Promise<string>((resolve, reject) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => {
      for (const piece of pieces) socket.write(piece)
    })
    socket.on('data', chunk => {
      answer += chunk
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
  })

describe('listen', () => {
  it('the peer is the peer of the socket, whatever a header claims', async () => {
    const port = await start(async (_, info) => Response.json(info))
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      headers: { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9' },
    })
    expect(await response.json()).toEqual({ remoteAddress: '127.0.0.1' })
  })

  it('R151: two Authorization headers arrive as such, not as the first of them', async () => {
    const port = await start(async request => new Response(request.headers.get('authorization')))
    const answer = await raw(
      port,
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n',
    )
    expect(answer).toContain('Bearer a, Bearer b')
  })

  it.each([
    ['an announced', 'Content-Length: 900000\r\n\r\n', 'x'.repeat(900_000)],
    ['a chunked', 'Transfer-Encoding: chunked\r\n\r\n', `dbba0\r\n${'x'.repeat(900_000)}\r\n0\r\n\r\n`],
  ])('R196: %s oversized body is answered 413, and the connection closed', async (_, headers, body) => {
    const port = await start(async request =>
      (await readBody(request, 1_000)) ? new Response('read') : tooLargeResponse(),
    )
    const answer = await raw(port, `POST / HTTP/1.1\r\nHost: x\r\n${headers}`, body)
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(answer.toLowerCase()).toContain('connection: close')
    expect(answer).toContain('too large')
  })

  it('R196: a body that is longer than announced ends where it was announced to end', async () => {
    const port = await start(async request => {
      const body = await readBody(request, 1_000)
      return new Response(`${body?.byteLength} bytes`)
    })
    const post = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n'
    const next = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    const answer = await raw(port, `${post}\r\nabcde${next}`)
    expect(answer.match(/\d bytes/g)).toEqual(['5 bytes', '0 bytes'])
    const twoLengths = await raw(port, `${post}Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n`)
    expect(twoLengths).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('R196: headers without end are refused', async () => {
    const port = await start(async () => new Response('read'))
    expect(await raw(port, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    )
  })

  it.each([
    ['headers that never end', 'GET / HTTP/1.1\r\nHost: x\r\nX: '],
    ['a body that never comes', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx'],
  ])('R196: %s are given up, and the connection closed', async (_, bytes) => {
    const soon = {
      headersTimeout: 50,
      requestTimeout: 50,
      keepAliveTimeout: 50,
      connectionsCheckingInterval: 10,
    }
    const handle = async (request: Request) => new Response(await request.text())
    listener = await listen(handle, { port: 0, host: '127.0.0.1' }, undefined, soon)
    expect(await raw(listener.port, bytes)).toMatch(/^(HTTP\/1\.1 408 |$)/)
  })

  it('R201: a handler that throws is a 500 for one request, and the next is served', async () => {
    let calls = 0
    const port = await start(async () => {
      if (calls++ === 0) throw new Error('canary')
      return new Response('fine')
    })
    const broken = await fetch(`http://127.0.0.1:${port}/`)
    expect(broken.status).toBe(500)
    expect(await broken.text()).not.toContain('canary')
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('fine')
  })

  it('R201: sockets that go away in the middle of a request harm nobody', async () => {
    const port = await start(async request => {
      await readBody(request, 1_000_000).catch(() => {})
      return new Response('fine')
    })
    await Promise.all(
      Array.from(
        { length: 100 },
        () =>
          new Promise<void>(resolve => {
            const socket = connect(port, '127.0.0.1', () => {
              socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc', () =>
                socket.destroy(),
              )
            })
            socket.on('close', () => resolve())
          }),
      ),
    )
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('fine')
  })
})
