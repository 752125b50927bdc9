import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { guardedFetch, limitMessages } from './guarded-fetch.ts'

const seen: string[] = []
const server = createServer((request, response) => {
  seen.push(request.url ?? '')
  if (request.url === '/moved') return response.writeHead(307, { location: '/there' }).end()
  response.end('x'.repeat(1_000))
})
let origin = ''
beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.close()
  server.closeAllConnections()
})
const create = (options: { maxBytes?: number; listens?: boolean } = {}) =>
  guardedFetch(new URL(origin), {
    maxBytes: 2_000,
    listens: true,
    headers: () => ({ authorization: 'Bearer ours' }),
    ...options,
  })

describe('requests to a remote server', () => {
  it('R184: go to its origin alone, and follow no redirect', async () => {
    const send = create()
    await expect(send('https://elsewhere.example/mcp')).rejects.toThrow('elsewhere')
    await expect(send(`${origin}/moved`, { method: 'POST' })).rejects.toThrow()
    expect(seen).toEqual(['/moved'])
    expect(await (await send(`${origin}/there`)).text()).toHaveLength(1_000)
  })

  it('R187: are cut off when an answer is longer than its limit', async () => {
    const response = await create({ maxBytes: 999 })(`${origin}/long`)
    await expect(response.text()).rejects.toThrow()
  })

  it('keep no stream open for one caller', async () => {
    expect((await create({ listens: false })(`${origin}/stream`)).status).toBe(405)
    expect(seen).not.toContain('/stream')
  })
})

describe('the limit of a message', () => {
  const pass = async (chunks: readonly string[], max: number) => {
    const body = new Response(
      ReadableStream.from(chunks.map(chunk => Buffer.from(chunk))).pipeThrough(limitMessages(max)),
    )
    return body.text().catch(() => undefined)
  }
  it('counts each event of a stream for itself, however it is cut into chunks', async () => {
    const event = (length: number) => `data: ${'x'.repeat(length)}\n\n`
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 9 }),
        async (lengths, size) => {
          const text = lengths.map(event).join('')
          const chunks = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
          // Nothing longer than the longest event: all of it passes, whatever their number.
          expect(await pass(chunks, 30 + 'data: \n\n'.length)).toBe(text)
        },
      ),
    )
    expect(await pass([`${event(5)}${event(50)}`.slice(0, -2)], 40)).toBeUndefined()
    expect(await pass(['data: x\r\n\r\n'.repeat(20)], 20)).toBe('data: x\r\n\r\n'.repeat(20))
  })
})
