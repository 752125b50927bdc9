import type { ServerResponse } from 'node:http'
import { accounts } from './accounts.ts'
import type { EndpointName } from './kinds.ts'

/** How an endpoint is to fail. */
export interface Failure {
  status: 200 | 400 | 401 | 403 | 429 | 500 | 503
  /** JSON when an object, sent as HTML when a string. Default: what real providers send with that status. */
  body?: object | string
  /** `Retry-After`, in seconds. */
  retryAfter?: number
  /** How many requests fail. Default 1; `Infinity` until `heal()`. */
  times?: number
}

/** Requests held back by `hang`. */
export interface Hold {
  /** Settles when the first request hangs. */
  readonly reached: Promise<void>
  /** Settles when whoever sent the first of them has gone. */
  readonly gone: Promise<void>
  /** Lets every held request go on, and later ones pass. */
  release(): void
}

/** One request the upstream received. */
export interface SeenRequest {
  endpoint: EndpointName
  method: string
  path: string
  /** At the token endpoint. */
  grantType?: string
}

/** A value that must never show up in a log, a URL of somebody else, or a store in clear. */
export interface Secret {
  kind: 'code' | 'access_token' | 'refresh_token' | 'id_token' | 'state' | 'nonce' | 'code_verifier' | 'email'
  value: string
}

/** The test's hand on an upstream. */
export interface Control {
  /** Every request so far, in order, refused ones included. */
  readonly requests: readonly SeenRequest[]
  /** How many requests an endpoint got; at the token endpoint also by `grant_type`. */
  count(endpoint: EndpointName, grantType?: string): number
  /** Forgets the requests counted so far. */
  resetCounts(): void
  /** Makes the next requests of an endpoint fail. Failures queue up. */
  fail(endpoint: EndpointName, failure: Failure): void
  /** Answers an endpoint's requests late, by milliseconds of real time; 0 ends it. */
  delay(endpoint: EndpointName, ms: number): void
  /** Leaves an endpoint's requests without an answer until released. */
  hang(endpoint: EndpointName): Hold
  /** Carries out token requests, and leaves them without the answer until released. */
  hangReply(): Hold
  /** Ends every failure, delay and hang. */
  heal(): void
  /** All access tokens stop working now, whatever `expires_in` said; answers how many. */
  expireAccessTokens(): number
  /** The user took the grant back: their tokens die, refresh tokens included; answers how many records went. */
  revokeGrant(sub: string): number
  /** Life of access tokens issued from now on, in seconds; undefined: the provider's own. */
  shortLife(seconds: number | undefined): void
  /** Dates id_tokens ahead, for a client whose clock the test moved; everything else keeps the system's time. */
  advance(seconds: number): void
  /** The user ticks only these scopes at the next consents; undefined: all that are asked. */
  grantOnly(scopes: readonly string[] | undefined): void
  /** Passes sign-in and consent without showing a form. */
  autoConsent(on: boolean): void
  /** Which account `autoConsent` uses, and the form preselects. */
  signInAs(sub: string): void
  /** Everything secret it issued or was told, and the users' addresses. */
  readonly secrets: readonly Secret[]
}

/** What the server side of the upstream uses besides `Control`. */
export interface ControlState {
  readonly control: Control
  readonly account: () => string
  readonly passes: () => boolean
  readonly granted: () => readonly string[] | undefined
  readonly accessTokenSeconds: () => number | undefined
  readonly aheadSeconds: () => number
  record(request: SeenRequest): void
  keep(kind: Secret['kind'], value: unknown): void
  /** Carries out `hangReply`. */
  holdReply(response: ServerResponse): Promise<void>
  /** Carries out delays, hangs and failures; true when the response has been sent. */
  interfere(endpoint: EndpointName, response: ServerResponse): Promise<boolean>
}

const bodyOf: Record<Failure['status'], object | string> = {
  200: {},
  400: { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' },
  401: { error: 'invalid_client', error_description: 'Client authentication failed' },
  403: { error: 'access_denied' },
  429: { error: 'rate_limit_exceeded' },
  500: '<!doctype html><title>Error 500</title><h1>Internal Server Error</h1>',
  503: '<!doctype html><title>Error 503</title><h1>Service Unavailable</h1>',
}

function createSignal(): { promise: Promise<void>; give: () => void } {
  let give = () => {}
  const promise = new Promise<void>(resolve => {
    give = resolve
  })
  return { promise, give }
}

interface PlacedHold {
  hold: Hold
  meet(response: ServerResponse): Promise<void>
}

function createHold(onRelease: () => void): PlacedHold {
  const [held, reached, gone] = [createSignal(), createSignal(), createSignal()]
  return {
    hold: {
      reached: reached.promise,
      gone: gone.promise,
      release() {
        onRelease()
        held.give()
      },
    },
    meet(response) {
      response.once('close', gone.give)
      reached.give()
      return held.promise
    },
  }
}

/** Switches, counters and faults of one upstream. */
export function createControl(storage: {
  forget(pick: (model: string, payload: { accountId?: string | undefined }) => boolean): number
}): ControlState {
  const requests: SeenRequest[] = []
  const secrets = new Map<string, Secret>()
  const failures = new Map<EndpointName, { failure: Failure; left: number }[]>()
  const delays = new Map<EndpointName, number>()
  const holds = new Map<EndpointName | 'reply', PlacedHold>()
  let seconds: number | undefined
  let only: readonly string[] | undefined
  let passes = false
  let ahead = 0
  let account = accounts[0].sub

  const keep = (kind: Secret['kind'], value: unknown): void => {
    if (typeof value === 'string' && value !== '') secrets.set(value, { kind, value })
  }
  for (const { email } of accounts) keep('email', email)

  const place = (where: EndpointName | 'reply'): Hold => {
    holds.get(where)?.hold.release()
    const placed = createHold(() => holds.delete(where))
    holds.set(where, placed)
    return placed.hold
  }

  const control: Control = {
    requests,
    count: (endpoint, grantType) =>
      requests.filter(
        seen => seen.endpoint === endpoint && (grantType === undefined || seen.grantType === grantType),
      ).length,
    resetCounts() {
      requests.length = 0
    },
    fail(endpoint, failure) {
      const queue = failures.get(endpoint) ?? []
      queue.push({ failure, left: failure.times ?? 1 })
      failures.set(endpoint, queue)
    },
    delay(endpoint, ms) {
      delays.set(endpoint, ms)
    },
    hang: endpoint => place(endpoint),
    hangReply: () => place('reply'),
    heal() {
      failures.clear()
      delays.clear()
      for (const { hold } of [...holds.values()]) hold.release()
    },
    expireAccessTokens: () => storage.forget(model => model === 'AccessToken'),
    revokeGrant: sub =>
      storage.forget(
        (model, payload) =>
          payload.accountId === sub &&
          ['Grant', 'AccessToken', 'RefreshToken', 'AuthorizationCode'].includes(model),
      ),
    shortLife(value) {
      seconds = value
    },
    advance(value) {
      ahead += value
    },
    grantOnly(scopes) {
      only = scopes
    },
    autoConsent(on) {
      passes = on
    },
    signInAs(sub) {
      account = sub
    },
    get secrets() {
      return [...secrets.values()]
    },
  }

  return {
    control,
    keep,
    account: () => account,
    passes: () => passes,
    granted: () => only,
    accessTokenSeconds: () => seconds,
    aheadSeconds: () => ahead,
    record(request) {
      requests.push(request)
    },
    async holdReply(response) {
      await holds.get('reply')?.meet(response)
    },
    async interfere(endpoint, response) {
      const ms = delays.get(endpoint)
      if (ms) await new Promise(resolve => setTimeout(resolve, ms))

      const hold = holds.get(endpoint)
      if (hold) {
        await hold.meet(response)
        if (response.destroyed) return true
      }

      const next = failures.get(endpoint)?.find(({ left }) => left > 0)
      if (next === undefined) return false
      next.left--
      const { status, retryAfter } = next.failure
      const body = next.failure.body ?? bodyOf[status]
      response.writeHead(status, {
        'content-type': typeof body === 'string' ? 'text/html; charset=utf-8' : 'application/json',
        ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
      })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
      return true
    },
  }
}
