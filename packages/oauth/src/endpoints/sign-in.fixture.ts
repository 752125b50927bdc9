import { createHash } from 'node:crypto'
import type { Client } from '../clients/client.ts'
import type { Context } from '../context.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { SallyportEvent } from '../events.ts'
import { createRequestHandler } from '../handle-request.ts'
import { createSealer } from '../keys/sealer.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { createLimits } from '../limits/limits.ts'
import {
  type Login,
  LoginError,
  type LoginPrompt,
  type LoginResult,
  type LoginStart,
  type RedirectLogin,
} from '../login.ts'
import { defaultLifetimes } from '../options.ts'
import type { Route } from '../route.ts'
import { systemRandom } from '../runtime.ts'
import { createMemoryStore, type MemoryStore } from '../storage/memory-store.ts'
import { account } from './account.ts'
import { authorize } from './authorize.ts'
import { callback } from './callback.ts'
import { connect } from './connect.ts'
import { consent } from './consent.ts'

/** The browser side of a server over the memory store, with logins and clients that a test controls. */

export const verifier = 'canary-verifier-0123456789-0123456789-0123456789'
export const challenge = createHash('sha256').update(verifier).digest('base64url')

export const strangerId = 'https://app.example/client.json'
export const strangerRedirect = 'https://app.example/callback'
export const configuredId = 'desktop'
export const configuredRedirect = 'https://desktop.example/cb?keep=%2F+x'

export const client = (change: Partial<Client> = {}): Client => ({
  clientId: strangerId,
  kind: 'metadata-document',
  clientName: 'Example App',
  clientUri: undefined,
  policyUri: undefined,
  tosUri: undefined,
  redirectUris: [strangerRedirect],
  postLogoutRedirectUris: [],
  grantTypes: ['authorization_code', 'refresh_token'],
  tokenEndpointAuthMethod: 'none',
  scopes: undefined,
  isSecret: undefined,
  ...change,
})

/** An upstream provider: remembers what it was asked, and lets the code of the callback say how it ends. */
export interface FakeProvider extends RedirectLogin {
  starts: LoginStart[]
  prompts: LoginPrompt[]
  /** What it says of the user besides who it is. */
  says: Partial<LoginResult>
  /** Times the code was exchanged: requests to the provider's token endpoint. */
  exchanges: number
  /** Connections it stored: user id → provider scopes. */
  connections: Map<string, readonly string[]>
  /** For whom connections were let go that were not made. */
  unkept: string[]
  /** Has as many accounts as it takes. */
  isFull?: boolean
  /** False: what is let go cannot be put aside. */
  letsGo?: boolean
  startFails: LoginError['reason'] | undefined
  /** What it says stood in the way when a trip fails. */
  failsBecause: LoginError['problem']
  /** Trips that name no user bring a connection that does not work. */
  withholds: boolean
}

export function createFakeProvider(id: string, label: string): FakeProvider {
  const connections = new Map<string, readonly string[]>()
  const provider: FakeProvider = {
    kind: 'redirect',
    id,
    label,
    identityScopes: ['openid', 'email'],
    starts: [],
    prompts: [],
    says: {},
    exchanges: 0,
    connections,
    unkept: [],
    startFails: undefined,
    failsBecause: undefined,
    withholds: false,
    async start(request) {
      if (provider.startFails) throw new LoginError(provider.startFails)
      provider.starts.push(request)
      return {
        url: `https://${id}.example/authorize?state=${request.upstreamState}`,
        memory: { verifier: `memory-of-${id}`, ...(request.userId && { userId: request.userId }) },
      }
    },
    async finish({ parameters, memory, scopes }) {
      if (memory.verifier !== `memory-of-${id}`) throw new Error('memory of another login')
      const error = parameters.get('error')
      if (error !== null) {
        const reason = error === 'access_denied' ? 'denied' : error === 'busy' ? 'unavailable' : 'failed'
        const cause = new Error(parameters.get('error_description') ?? '')
        throw new LoginError(reason, { cause, problem: provider.failsBecause })
      }
      provider.exchanges++
      return {
        issuer: `https://${id}.example`,
        subject: parameters.get('code') ?? '',
        ...provider.says,
        async onUser(userId) {
          if (provider.withholds && memory.userId === undefined) return 'incomplete'
          if (provider.isFull) throw new LoginError('too_many_accounts')
          connections.set(userId, scopes)
          return undefined
        },
        async onUnkept(userId) {
          provider.unkept.push(userId)
          if (provider.letsGo === false) throw new StoreUnavailableError('down')
        },
      }
    },
  }
  return provider
}

export interface Fixture {
  context: Context
  store: MemoryStore
  events: SallyportEvent[]
  clients: Map<string, Client>
  google: FakeProvider
  linkedin: FakeProvider
  /** Seconds since the epoch; tests move it. */
  time: { now: number }
  handle(request: Request): Promise<Response>
  browser(): Browser
  /** Address a client sends its user to; undefined removes a parameter. */
  authorizeUrl(change?: Record<string, string | undefined>): string
}

export function createFixture(
  options: {
    issuer?: string
    signIn?: 'google' | Login
    /** Provider scopes that tools need, by provider. Default: none. */
    needs?: { google?: string[]; linkedin?: string[] }
    context?: Partial<Context>
  } = {},
): Fixture {
  const events: SallyportEvent[] = []
  const time = { now: 1_800_000_000 }
  const store = createMemoryStore()
  const google = createFakeProvider('google', 'Google')
  const linkedin = createFakeProvider('linkedin', 'LinkedIn')
  const { issuer = 'https://mcp.example.com', signIn = 'google', needs = {} } = options
  const clients = new Map(
    [
      client(),
      client({
        clientId: configuredId,
        kind: 'configured',
        clientName: 'Desktop',
        redirectUris: [configuredRedirect],
      }),
    ].map(each => [each.clientId, each]),
  )
  const secrets = createSecretRing(['canary-ring-secret-0123456789-0123456789'])
  const emit = (event: SallyportEvent) => void events.push(event)
  const context = {
    issuer,
    serverName: 'Calendar',
    resources: [`${issuer}/mcp`],
    scopes: { mcp: "Use this server's tools as you", 'notes:write': 'Add notes to your notebook' },
    defaultScopes: ['mcp'],
    sensitiveScopes: [],
    openid: true,
    lifetimes: defaultLifetimes,
    scopeLifetimes: {},
    maxPendingAuthorizations: 100,
    store,
    secrets,
    sealer: createSealer(secrets, systemRandom),
    clients: { resolveClient: async (id: string) => clients.get(id) },
    signIn: signIn === 'google' ? google : signIn,
    connections: {
      plan: () => ({
        needs: [google, linkedin].flatMap(login => {
          const scopes = needs[login.id as 'google' | 'linkedin']
          return scopes ? [{ login, scopes }] : []
        }),
      }),
      isConnected: async (userId: string, id: string, scopes: readonly string[]) => {
        const connected = (id === 'google' ? google : linkedin).connections.get(userId)
        return connected !== undefined && scopes.every(scope => connected.includes(scope))
      },
    },
    emit,
    limits: createLimits({ factor: 1, store, secrets, emit }),
    clock: () => time.now,
    random: systemRandom,
    ...options.context,
  } as Context

  const routes: Route[] = [
    { method: 'GET', path: '/oauth/authorize', handler: authorize, cors: 'none' },
    { method: 'POST', path: '/oauth/authorize', handler: authorize, cors: 'none' },
    { method: 'POST', path: '/oauth/consent', handler: consent, cors: 'none' },
    { method: 'GET', path: '/oauth/callback/:id', handler: callback, cors: 'none' },
    { method: 'POST', path: '/oauth/callback/:id', handler: callback, cors: 'none' },
    { method: 'GET', path: '/oauth/connect/:id', handler: connect, cors: 'none' },
    { method: 'POST', path: '/oauth/connect/:id', handler: connect, cors: 'none' },
    { method: 'GET', path: '/account', handler: account, cors: 'none' },
    { method: 'POST', path: '/account', handler: account, cors: 'none' },
  ]
  const handler = createRequestHandler(context, routes)
  const handle: Fixture['handle'] = async request => {
    const response = await handler(request)
    if (!response) throw new Error(`${new URL(request.url).pathname} is not a path of the server`)
    return response
  }
  return {
    context,
    store,
    events,
    clients,
    google,
    linkedin,
    time,
    handle,
    browser: () => createBrowser(handle),
    authorizeUrl: (change = {}) => {
      const all: Record<string, string | undefined> = {
        client_id: strangerId,
        redirect_uri: strangerRedirect,
        response_type: 'code',
        code_challenge: challenge,
        code_challenge_method: 'S256',
        state: 'client-state',
        ...change,
      }
      const pairs = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined)
      return `${issuer}/oauth/authorize?${new URLSearchParams(pairs)}`
    },
  }
}

/** One answer, as the browser got it. */
export interface Answer {
  url: string
  status: number
  headers: Headers
  html: string
  /** Address of a redirect; the test decides whether the browser goes there. */
  location: string | undefined
}

/** A browser with one cookie jar. It goes one step at a time, so that a test can get in between. */
export interface Browser {
  cookies: Map<string, string>
  open(url: string, headers?: Record<string, string>): Promise<Answer>
  /** Sends the page's form; `fields` replaces fields and names the button. */
  submit(page: Answer, fields?: Record<string, string>, headers?: Record<string, string>): Promise<Answer>
}

/** Creates a browser in front of whatever answers its requests. */
export function createBrowser(handle: (request: Request) => Promise<Response>): Browser {
  const cookies = new Map<string, string>()
  const send = async (url: string, init: RequestInit): Promise<Answer> => {
    const request = new Request(url, init)
    if (cookies.size > 0) request.headers.set('Cookie', [...cookies].map(pair => pair.join('=')).join('; '))
    const response = await handle(request)
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
      if (/; Max-Age=0;/.test(line)) cookies.delete(name!)
      else cookies.set(name!, value!)
    }
    return {
      url,
      status: response.status,
      headers: response.headers,
      html: await response.text(),
      location: response.headers.get('location') ?? undefined,
    }
  }
  return {
    cookies,
    open: (url, headers = {}) => send(url, { headers }),
    submit: (page, fields = {}, headers = {}) => {
      const form = new URLSearchParams(hiddenFields(page))
      for (const [name, value] of Object.entries(fields)) form.set(name, value)
      const action = /<form method="post" action="([^"]*)"/.exec(page.html)?.[1]
      if (!action) throw new Error(`no form on the page: ${page.html}`)
      return send(action.replaceAll('&amp;', '&'), {
        method: 'POST',
        headers: {
          'Content-Type': 'application/x-www-form-urlencoded',
          'Sec-Fetch-Site': 'same-origin',
          Origin: 'null',
          ...headers,
        },
        body: form.toString(),
      })
    },
  }
}

/** Hidden fields of a page's form. */
export function hiddenFields({ html }: Answer): [string, string][] {
  return [...html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)].map(
    ([, name, value]) => [name!, value!],
  )
}

/** Parameters of a redirect. */
export function parametersOf(answer: Answer): URLSearchParams {
  if (answer.location === undefined) throw new Error(`no redirect: ${answer.status} ${answer.html}`)
  return new URL(answer.location).searchParams
}

/** The page of the user's approval, answered: up to the first provider. */
export async function approve(
  fixture: Fixture,
  browser: Browser,
  change?: Record<string, string>,
): Promise<Answer> {
  return browser.submit(await browser.open(fixture.authorizeUrl(change)), { decision: 'allow' })
}

/** The address a provider sends the browser back to. */
export function returnFrom(
  fixture: Fixture,
  sentTo: Answer,
  parameters: Record<string, string>,
  providerId?: string,
): string {
  const { hostname, searchParams } = new URL(sentTo.location!)
  const id = providerId ?? hostname.split('.')[0]!
  const query = new URLSearchParams({ ...parameters, state: searchParams.get('state')! })
  return `${fixture.context.issuer}/oauth/callback/${id}?${query}`
}
