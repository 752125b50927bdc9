import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { decodeJwt, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose'
import Provider, { errors, interactionPolicy } from 'oidc-provider'
import { accounts } from './accounts.ts'
import { type ApiCaller, answerApi } from './api.ts'
import { type Control, createControl } from './control.ts'
import { createProofGate, type SeenProof } from './dpop.ts'
import { answerInteraction, type ConsentGiven } from './interaction.ts'
import {
  type EndpointName,
  kinds,
  microsoftTenant,
  offlineScope,
  type RefreshTokens,
  type UpstreamKind,
} from './kinds.ts'
import { createMemoryStorage } from './memory-adapter.ts'
import { adaptCallback, adaptRequest, adaptTokenReply, guidOf } from './quirks.ts'
import { answerRevocation } from './revocation.ts'
import { createTransmitter, riscConfigurationPath, type SecurityEventTransmitter } from './security-events.ts'

export interface UpstreamOptions {
  kind: UpstreamKind
  clientId: string
  clientSecret: string
  redirectUris: readonly string[]
  /** Port of the OpenID provider on 127.0.0.1. Default: any free one. */
  port?: number
  /** Sign-in and consent pass without a form. Default false; `control.autoConsent` changes it. */
  autoConsent?: boolean
  /**
   * When a refresh token is issued. Google goes by `access_type` and first consent whatever is said here.
   * Default: as the provider does for most, see `kinds.ts`; a LinkedIn partner, a GitHub App and a Slack app with
   * token rotation are `always`.
   */
  refreshTokens?: RefreshTokens
  /** Single-use refresh tokens: a used one ends the grant at once, without tolerance. Default: as the provider does. */
  rotateRefreshTokens?: boolean
  /** Google: live refresh tokens per account; the oldest dies silently. Default 100. */
  refreshTokenCap?: number
  /**
   * Resource → scopes: where it is the issuer of other people's resource servers (RFC 8707). Their access tokens are
   * JWTs, and clients register themselves, as MCP clients do. Default: none.
   */
  resources?: Readonly<Record<string, readonly string[]>>
}

export interface Upstream {
  kind: UpstreamKind
  /** Issuer identifier, as in `iss` of id_tokens. */
  issuer: string
  /** Origin of the OpenID provider. */
  origin: string
  endpoints: Record<'authorize' | 'token' | 'userinfo' | 'jwks' | 'revoke', string>
  /** Origin of the API, another one than the provider's. */
  apiOrigin: string
  control: Control
  /** DPoP proofs it was shown, at Google. */
  proofs: readonly SeenProof[]
  /** Sends what only Google does. */
  securityEvents: SecurityEventTransmitter
  close(): Promise<void>
}

/** Header that a proof goes on in once it is accepted. */
const acceptedProof = 'x-accepted-proof'

let signingKey: Promise<JWK> | undefined

/** One key for the whole process: making an RSA key takes longer than all the rest. */
function getSigningKey(): Promise<JWK> {
  signingKey ??= generateKeyPair('RS256', { extractable: true })
    .then(({ privateKey }) => exportJWK(privateKey))
    .then(jwk => ({ ...jwk, kid: 'upstream-1', use: 'sig', alg: 'RS256' }))
  return signingKey
}

/** The same id_token, signed for a later time: `oidc-provider` knows no clock but the system's. */
async function dateAhead(idToken: string, seconds: number): Promise<string> {
  const claims = decodeJwt(idToken)
  for (const name of ['iat', 'exp', 'auth_time'])
    if (typeof claims[name] === 'number') claims[name] += seconds
  const jwk = await getSigningKey()
  const header = { alg: 'RS256', kid: 'upstream-1' }
  return new SignJWT(claims).setProtectedHeader(header).sign(await importJWK(jwk))
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** A request with the same head and another body, for a handler that reads the stream itself. */
function replay(original: IncomingMessage, url: string, body: Buffer): IncomingMessage {
  const copy = new IncomingMessage(original.socket)
  Object.assign(copy, { method: original.method, url, httpVersion: original.httpVersion, complete: true })
  copy.headers = { ...original.headers, 'content-length': String(body.length) }
  delete copy.headers['transfer-encoding']
  if (body.length > 0) copy.push(body)
  copy.push(null)
  return copy
}

/** The parameters in a body. Notion's come as JSON, and go on as the form that others send. */
function readForm(kind: UpstreamKind, request: IncomingMessage, body: Buffer): URLSearchParams | undefined {
  const type = request.headers['content-type'] ?? ''
  const isJson = type.startsWith('application/json') && (kind === 'notion' || kind === 'github')
  if (isJson) {
    request.headers['content-type'] = 'application/x-www-form-urlencoded'
    return new URLSearchParams(JSON.parse(body.toString()))
  }
  if (!type.startsWith('application/x-www-form-urlencoded')) return undefined
  // Notion takes no form at its API; its consent page is one.
  const isApi = request.url?.startsWith('/v1/')
  return kind === 'notion' && isApi ? undefined : new URLSearchParams(body.toString())
}

async function listen(server: Server, port: number): Promise<string> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/**
 * Starts an upstream provider on loopback: panva's `oidc-provider`, with the quirks of the provider it stands in
 * for and an API that its access tokens open.
 */
export async function startUpstream(options: UpstreamOptions): Promise<Upstream> {
  const { kind, clientId, clientSecret, resources } = options
  const facts = kinds[kind]
  const storage = createMemoryStorage()
  const state = createControl(storage)
  const { control } = state
  control.autoConsent(options.autoConsent ?? false)
  const consents = new Map<string, ConsentGiven>()
  const firstConsents = new Set<string>()
  const refreshTokens = options.refreshTokens ?? facts.refreshTokens

  const server = createServer((request, response) => {
    answer(request, response).catch(error => crash(error, response))
  })
  const apiServer = createServer((request, response) => {
    answerOnApiOrigin(request, response).catch(error => crash(error, response))
  })
  const origin = await listen(server, options.port ?? 0)
  const apiOrigin = await listen(apiServer, 0)
  const issuer = origin + facts.issuerPath
  const { discovery: discoveryPath, ...paths } = facts.paths
  const originOf = (name: 'userinfo' | 'revoke') => (facts.onApiOrigin.includes(name) ? apiOrigin : origin)
  const endpoints = {
    authorize: origin + paths.authorize,
    token: origin + paths.token,
    userinfo: originOf('userinfo') + paths.userinfo,
    jwks: origin + paths.jwks,
    revoke: originOf('revoke') + paths.revoke,
  }

  const proofs = createProofGate(endpoints.token)
  const policy = interactionPolicy.base()
  policy.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0)
  // The user is asked each time: the upstream keeps no session of its own.
  policy.get('login')?.checks.add(
    new interactionPolicy.Check('always', 'the user is asked each time', ctx => {
      return ctx.oidc.result?.login === undefined
    }),
  )

  const provider = new Provider(issuer, {
    adapter: storage.adapter,
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: [...options.redirectUris],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: facts.clientAuthentication[0] ?? 'client_secret_post',
      },
    ],
    clientAuthMethods: [...facts.clientAuthentication, ...(resources ? (['none'] as const) : [])],
    clockTolerance: 0,
    conformIdTokenClaims: false,
    cookies: { keys: [randomBytes(32).toString('hex')] },
    jwks: { keys: [await getSigningKey()] },
    scopes: ['openid', ...facts.scopes],
    claims: {
      openid: ['sub', ...(kind === 'microsoft' ? ['oid', 'tid'] : [])],
      profile: ['name'],
      email: ['email', 'email_verified'],
    },
    extraParams: ['access_type', 'include_granted_scopes'],
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      revocation: { enabled: true },
      ...(resources && {
        registration: { enabled: true },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => [],
          useGrantedResource: () => true,
          getResourceServerInfo(_, resource) {
            const scopes = resources[resource]
            if (!scopes) throw new errors.InvalidTarget()
            return {
              scope: scopes.join(' '),
              audience: resource,
              accessTokenFormat: 'jwt',
              jwt: { sign: { alg: 'RS256' } },
            }
          },
        },
      }),
    },
    interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
    routes: {
      authorization: paths.authorize,
      token: paths.token,
      userinfo: paths.userinfo,
      jwks: paths.jwks,
      revocation: paths.revoke,
    },
    pkce: { required: () => false },
    findAccount: (_, sub) => {
      const account = accounts.find(known => known.sub === sub)
      if (account === undefined) return undefined
      // LinkedIn writes the boolean as a string.
      const verified = kind === 'linkedin' ? 'true' : true
      const claims = { ...account, email_verified: verified, oid: guidOf(sub, 'e'), tid: microsoftTenant }
      return { accountId: sub, claims: () => claims }
    },
    rotateRefreshToken: options.rotateRefreshTokens ?? facts.rotates,
    expiresWithSession: () => false,
    issueRefreshToken: (_, _client, code) => {
      if (kind !== 'google')
        return (
          refreshTokens === 'always' ||
          (refreshTokens === 'offline_access' &&
            (code.scopes.has('offline_access') || code.scopes.has(offlineScope)))
        )
      const consent = consents.get(code.grantId ?? '')
      if (consent?.parameters.access_type !== 'offline') return false
      const forced = String(consent.parameters.prompt ?? '')
        .split(' ')
        .includes('consent')
      return forced || firstConsents.has(consent.grantId)
    },
    ttl: {
      AccessToken: () => state.accessTokenSeconds() ?? facts.accessTokenSeconds,
      AuthorizationCode: 60,
      Grant: 365 * 86_400,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: facts.refreshTokenSeconds,
      Session: 3600,
    },
  })

  provider.on('server_error', (_, error) => console.error('test upstream:', error))
  if (kind === 'google') provider.on('refresh_token.saved', token => dropOldest(token.accountId))

  // The old access token dies with the refresh that replaces it.
  if (kind === 'github') {
    provider.on('access_token.saved', ({ grantId, jti }) =>
      storage.forget(
        (model, payload) => model === 'AccessToken' && payload.grantId === grantId && payload.jti !== jti,
      ),
    )
  }

  provider.use(async (ctx, next) => {
    await next()
    if (ctx.path === paths.token && typeof ctx.body === 'object' && ctx.body !== null) {
      const reply = ctx.body as Record<string, unknown>
      if (typeof reply.id_token === 'string' && state.aheadSeconds() > 0)
        reply.id_token = await dateAhead(reply.id_token, state.aheadSeconds())
      for (const name of ['access_token', 'refresh_token', 'id_token'] as const) state.keep(name, reply[name])
      const grantType = ctx.oidc?.params?.grant_type
      const proof = ctx.req.headers[acceptedProof]
      if (proof !== undefined) {
        if (typeof reply.refresh_token === 'string') await proofs.bind(reply.refresh_token, String(proof))
        ctx.set('dpop-nonce', proofs.nonceFor(String(grantType)))
      }
      const sub = ctx.oidc?.entities?.Account?.accountId
      const status = adaptTokenReply(kind, {
        grantType: typeof grantType === 'string' ? grantType : undefined,
        reply,
        account: accounts.find(account => account.sub === sub),
        refreshTokenSecondsLeft() {
          const { exp } = ctx.oidc.entities.RefreshToken ?? {}
          return exp === undefined ? undefined : exp - Math.floor(Date.now() / 1000)
        },
      })
      if (status !== undefined) ctx.status = status
      // Unless it is asked for JSON, GitHub answers with a form.
      if (kind === 'github' && !ctx.get('accept').includes('json')) {
        ctx.body = new URLSearchParams(reply as Record<string, string>).toString()
        ctx.type = 'application/x-www-form-urlencoded'
      }
      await state.holdReply(ctx.res)
    }
    if (ctx.path === '/.well-known/openid-configuration') {
      Object.assign(ctx.body as object, { userinfo_endpoint: endpoints.userinfo })
    }
    const location = ctx.response.get('location') ?? ''
    if (options.redirectUris.some(uri => location.startsWith(uri))) {
      const callback = new URL(location)
      state.keep('code', callback.searchParams.get('code'))
      adaptCallback(kind, callback)
      ctx.set('location', callback.href)
      // It keeps no session: the next account would first have to be signed out, by a form that needs scripts.
      const cookies = [ctx.res.getHeader('set-cookie') ?? []].flat().map(String)
      ctx.res.setHeader(
        'set-cookie',
        cookies.filter(cookie => !cookie.startsWith('_session')),
      )
    }
  })
  const callback = provider.callback()
  const revocationParts = {
    clientId,
    clientSecret,
    revokeGrant: control.revokeGrant,
    accountOf: async (token: string) =>
      ((await provider.RefreshToken.find(token)) ?? (await provider.AccessToken.find(token)))?.accountId,
    accountOfAccessToken: async (token: string) => (await provider.AccessToken.find(token))?.accountId,
  }

  /** Google's cap: the oldest refresh token of an account dies, and nobody is told. */
  function dropOldest(sub: string): void {
    const cap = options.refreshTokenCap ?? 100
    const isTheirs = (model: string, payload: { accountId?: string | undefined }) =>
      model === 'RefreshToken' && payload.accountId === sub
    let excess = storage.count(isTheirs) - cap
    storage.forget((model, payload) => isTheirs(model, payload) && excess-- > 0)
  }

  function endpointOf(path: string): EndpointName | undefined {
    if (path === discoveryPath) return 'discovery'
    if (kind === 'google' && path === riscConfigurationPath) return 'risc'
    return (Object.keys(paths) as (keyof typeof paths)[]).find(name => paths[name] === path)
  }

  /** Counts the request and carries out what the test ordered; true when that answered it. */
  function meet(
    endpoint: EndpointName,
    request: IncomingMessage,
    url: URL,
    form: URLSearchParams | undefined,
    response: ServerResponse,
  ): Promise<boolean> {
    const grantType = form?.get('grant_type')
    state.record({
      endpoint,
      method: request.method ?? '',
      path: url.pathname,
      ...(grantType ? { grantType } : {}),
    })
    state.keep('state', url.searchParams.get('state'))
    state.keep('nonce', url.searchParams.get('nonce'))
    state.keep('code_verifier', form?.get('code_verifier'))
    return state.interfere(endpoint, response)
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', origin)
    const body = await readBody(request)
    const endpoint = endpointOf(url.pathname)
    const form = readForm(kind, request, body)
    if (endpoint !== undefined && (await meet(endpoint, request, url, form, response))) return

    if (kind === 'google' && endpoint === 'token') {
      const refusal = await proofs.check(request, form)
      if (refusal) {
        response.writeHead(refusal.status, { 'content-type': 'application/json', ...refusal.headers })
        response.end(JSON.stringify(refusal.body))
        return
      }
      // `oidc-provider` has rules of its own, and would bind access tokens too.
      request.headers[acceptedProof] = request.headers.dpop
      delete request.headers.dpop
    }
    if (endpoint === 'risc') {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ issuer: `${issuer}/`, jwks_uri: endpoints.jwks }))
      return
    }
    if (url.pathname.startsWith('/interaction/')) {
      const denied = kind === 'linkedin' ? 'user_cancelled_authorize' : 'access_denied'
      const grantsOf = (sub: string) => storage.list('Grant', grant => grant.accountId === sub)
      const onConsent = (consent: ConsentGiven) => {
        consents.set(consent.grantId, consent)
        if (grantsOf(consent.sub).length === 1) firstConsents.add(consent.grantId)
      }
      const earlierScopes = (sub: string) =>
        kind === 'google'
          ? grantsOf(sub).flatMap(
              ({ openid }) => (openid as { scope?: string } | undefined)?.scope?.split(' ') ?? [],
            )
          : []
      await answerInteraction(
        provider,
        state,
        request,
        response,
        form,
        denied,
        resources ?? {},
        onConsent,
        earlierScopes,
      )
      return
    }
    if (
      endpoint === 'revoke' &&
      (await answerRevocation(kind, revocationParts, { request, url, form, response }))
    )
      return

    const passing = { url, headers: request.headers, form }
    const refusal = adaptRequest(kind, endpoint, passing)
    if (refusal !== undefined) {
      response.writeHead(refusal.status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(refusal.body))
      return
    }
    if (endpoint === 'discovery') url.pathname = '/.well-known/openid-configuration'
    if (endpoint === 'authorize') delete request.headers.cookie
    const replayed = form === undefined ? body : Buffer.from(form.toString())
    await callback(replay(request, url.pathname + url.search, replayed), response)
  }

  async function answerOnApiOrigin(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', apiOrigin)
    const isAnsweredHere = kind === 'github' && url.pathname === paths.userinfo
    const address = apiOrigin + url.pathname
    if ((address === endpoints.userinfo && !isAnsweredHere) || address === endpoints.revoke) {
      await answer(request, response)
      return
    }
    const body = await readBody(request)
    if (await meet(isAnsweredHere ? 'userinfo' : 'api', request, url, undefined, response)) return
    answerApi(kind, request, response, url, body.toString(), await findCaller(request))
  }

  async function findCaller(request: IncomingMessage): Promise<ApiCaller | undefined> {
    const value = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    const token = value === undefined ? undefined : await provider.AccessToken.find(value)
    const account = accounts.find(({ sub }) => sub === token?.accountId)
    return token && account ? { account, scopes: [...token.scopes] } : undefined
  }

  return {
    kind,
    issuer,
    origin,
    endpoints,
    apiOrigin,
    control,
    proofs: proofs.seen,
    securityEvents: createTransmitter({ origin, issuer, clientId, key: await getSigningKey() }),
    async close() {
      control.heal()
      await Promise.all(
        [server, apiServer].map(async each => {
          each.closeAllConnections()
          each.close()
          await once(each, 'close')
        }),
      )
    },
  }
}

function crash(error: unknown, response: ServerResponse): void {
  console.error('test upstream:', error)
  if (!response.headersSent) response.writeHead(500)
  response.end()
}
