import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A token endpoint whose refresh tokens work once, and that forgives no second use. */
export interface CountingUpstream {
  origin: string
  /** How often each refresh token came. */
  readonly seen: ReadonlyMap<string, number>
  /** Requests that were not answered with new tokens, because their refresh token was not the newest. */
  readonly reused: readonly string[]
  /** Most requests that were open at once. */
  readonly most: number
  /** Answers nothing until `open` is called. */
  shut(): void
  open(): void
  /** How many requests wait for it to open. */
  waiting(): number
  close(): Promise<void>
}

/** The first refresh token of a user; those that follow count up. */
export const refreshTokenOf = (userId: string, generation = 0): string => `refresh ${userId} ${generation}`
/** The access token that came with it. */
export const accessTokenOf = (userId: string, generation = 0): string => `access-${userId}-${generation}`

/** Starts one on loopback. */
export async function startCountingUpstream(): Promise<CountingUpstream> {
  const seen = new Map<string, number>()
  const newest = new Map<string, number>()
  const reused: string[] = []
  let held: (() => void)[] | undefined
  let open = 0
  let most = 0

  function answer(token: string): [status: number, body: object] {
    const [, userId = '', text] = /^refresh (\S+) (\d+)$/.exec(token) ?? []
    const generation = Number(text)
    if (generation !== (newest.get(userId) ?? 0)) {
      reused.push(token)
      return [400, { error: 'invalid_grant' }]
    }
    newest.set(userId, generation + 1)
    const tokens = {
      access_token: accessTokenOf(userId, generation + 1),
      refresh_token: refreshTokenOf(userId, generation + 1),
    }
    return [200, { ...tokens, expires_in: 3600 }]
  }

  const server = createServer((request, response) => {
    let body = ''
    request.on('data', chunk => {
      body += chunk
    })
    request.on('end', () => {
      const token = new URLSearchParams(body).get('refresh_token') ?? ''
      seen.set(token, (seen.get(token) ?? 0) + 1)
      most = Math.max(most, ++open)
      const reply = () => {
        open--
        const [status, reply] = answer(token)
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(reply))
      }
      if (held) held.push(reply)
      else reply()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    reused,
    get most() {
      return most
    },
    shut() {
      held ??= []
    },
    open() {
      const replies = held ?? []
      held = undefined
      for (const reply of replies) reply()
    },
    waiting: () => held?.length ?? 0,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
