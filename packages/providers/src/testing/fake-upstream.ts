import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'

export interface SeenRequest {
  method: string
  path: string
  headers: IncomingMessage['headers']
  form: URLSearchParams
  body: string
}

export interface Answer {
  status?: number
  headers?: Record<string, string>
  /** An object is sent as JSON. */
  body?: unknown
}

/** `never`: the connection is held open without an answer. */
export type Script = Answer | 'never' | ((request: SeenRequest) => Answer | Promise<Answer>)

/** A provider on loopback that answers as its test says and remembers what it was asked. */
export interface FakeUpstream {
  origin: string
  /** Requests by path. */
  seen(path: string): SeenRequest[]
  /** Answers for a path, in order; the last one stays. */
  script(path: string, ...answers: Script[]): void
  /** Signs an id_token with the published key; null removes a claim. */
  idToken(claims?: Record<string, unknown>, options?: IdTokenOptions): Promise<string>
  close(): Promise<void>
}

export interface IdTokenOptions {
  alg?: 'RS256' | 'ES256'
  typ?: string
  key?: CryptoKey | Uint8Array
  header?: Record<string, unknown>
}

export const clientId = 'test-client'
export const clientSecret = 'test secret +/%'

/** One pair for all: making one takes longer than most tests. */
const signingKeys = generateKeyPair('RS256', { extractable: true })

/** Starts one; `now` is the time its tokens are issued at, seconds since the epoch. */
export async function startFakeUpstream(now: () => number): Promise<FakeUpstream> {
  const keys = await signingKeys
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' }
  const scripts = new Map<string, Script[]>()
  const requests: SeenRequest[] = []

  async function handle(request: IncomingMessage, response: ServerResponse) {
    let body = ''
    for await (const chunk of request) body += chunk
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const seen = {
      method: request.method ?? '',
      path: pathname,
      headers: request.headers,
      form: new URLSearchParams(body),
      body,
    }
    requests.push(seen)
    const queue = scripts.get(pathname) ?? [{ status: 404 }]
    const script = queue.length > 1 ? queue.shift()! : queue[0]!
    if (script === 'never') return
    const answer = typeof script === 'function' ? await script(seen) : script
    const isText = typeof answer.body === 'string'
    response.writeHead(answer.status ?? 200, {
      'content-type': isText ? 'text/plain' : 'application/json',
      ...answer.headers,
    })
    response.end(isText ? answer.body : JSON.stringify(answer.body ?? {}))
  }

  const server = createServer((request, response) => {
    handle(request, response).catch(error => response.destroy(error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  scripts.set('/jwks', [{ body: { keys: [jwk] } }])
  return {
    origin,
    seen: path => requests.filter(request => request.path === path),
    script: (path, ...answers) => void scripts.set(path, answers),
    idToken(claims = {}, { alg = 'RS256', typ, key = keys.privateKey, header } = {}) {
      const all = {
        iss: origin,
        sub: 'subject-1',
        aud: clientId,
        iat: now(),
        exp: now() + 3600,
        ...claims,
      }
      const payload = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null))
      return new SignJWT(payload as JWTPayload)
        .setProtectedHeader({ alg, kid: 'k1', ...(typ && { typ }), ...header })
        .sign(key)
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
