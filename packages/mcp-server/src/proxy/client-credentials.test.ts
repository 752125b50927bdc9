import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ToolError } from '../tools/tool-error.ts'
import { createOwnToken } from './client-credentials.ts'

let now = 1_800_000_000
let answer: { status: number; body: unknown; location?: string }
const requests: { authorization: string | undefined; body: string }[] = []
const server = createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  requests.push({ authorization: request.headers.authorization, body })
  const { status, location } = answer
  response.writeHead(status, { 'content-type': 'application/json', ...(location && { location }) })
  response.end(JSON.stringify(answer.body))
})
let tokenUrl = ''
beforeEach(async () => {
  requests.length = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  tokenUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
  let count = 0
  answer = {
    status: 200,
    get body() {
      return { access_token: `token-${++count}`, token_type: 'Bearer', expires_in: 300 }
    },
  }
})
afterEach(async () => {
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
})
const create = () =>
  createOwnToken({ clientId: 'a b', clientSecret: 's:cret', tokenUrl, scopes: ['x', 'y'] }, () => now)

describe('a token of our own', () => {
  it('is fetched once for all who ask, authenticated as RFC 6749 says, and kept until it ends', async () => {
    const own = create()
    expect(await Promise.all([own.get(), own.get()])).toEqual(['token-1', 'token-1'])
    expect(requests).toEqual([
      {
        authorization: `Basic ${Buffer.from('a+b:s%3Acret').toString('base64')}`,
        body: 'grant_type=client_credentials&scope=x+y',
      },
    ])
    now += 269
    expect(await own.get()).toBe('token-1')
    now += 2
    expect(await own.get()).toBe('token-2')
  })

  it('that was refused is not used again, and fetched once however many found out', async () => {
    const own = create()
    const token = await own.get()
    expect(await Promise.all([own.get(token), own.get(token)])).toEqual(['token-2', 'token-2'])
    expect(await own.get(token)).toBe('token-2')
  })

  it('R187: is not had, and nothing is told of the answer, nor does the secret follow a redirect', async () => {
    const own = create()
    answer = { status: 400, body: { error: 'canary' } }
    const error = await own.get().catch((error: unknown) => error)
    expect(error).toBeInstanceOf(ToolError)
    expect(String(error)).not.toContain('canary')
    answer = { status: 200, body: { access_token: 'x', token_type: 'mac' } }
    await expect(own.get()).rejects.toBeInstanceOf(ToolError)
    answer = { status: 307, body: {}, location: tokenUrl }
    requests.length = 0
    await expect(own.get()).rejects.toThrow()
    expect(requests).toHaveLength(1)
  })
})
