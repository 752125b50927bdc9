import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { accounts } from './accounts.ts'
import { acceptedProof, adaptAnswers } from './adapt-answers.ts'
import { type ApiCaller, answerApi } from './api.ts'
import { createConsents } from './consents.ts'
import { createControl } from './control.ts'
import { createProofGate } from './dpop.ts'
import { crash, listen, readBody, readForm, replay, sendJson } from './http.ts'
import { answerInteraction } from './interaction.ts'
import { type EndpointName, kinds } from './kinds.ts'
import { createMemoryStorage } from './memory-adapter.ts'
import { createOidcProvider } from './oidc-provider.ts'
import { adaptRequest } from './quirks.ts'
import { answerRevocation } from './revocation.ts'
import { createTransmitter, riscConfigurationPath } from './security-events.ts'
import { getSigningKey } from './signing-key.ts'
import type { Upstream, UpstreamOptions } from './upstream.ts'

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
  const consents = createConsents(kind, storage)

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
  const provider = await createOidcProvider(issuer, options, { storage, state, consents })
  adaptAnswers(provider, options, { state, proofs, userinfo: endpoints.userinfo })
  const callback = provider.callback()
  const revocationParts = {
    clientId,
    clientSecret,
    revokeGrant: control.revokeGrant,
    accountOf: async (token: string) =>
      ((await provider.RefreshToken.find(token)) ?? (await provider.AccessToken.find(token)))?.accountId,
    accountOfAccessToken: async (token: string) => (await provider.AccessToken.find(token))?.accountId,
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
        sendJson(response, refusal)
        return
      }
      // `oidc-provider` has rules of its own, and would bind access tokens too.
      request.headers[acceptedProof] = request.headers.dpop
      delete request.headers.dpop
    }
    if (endpoint === 'risc') {
      sendJson(response, { body: { issuer: `${issuer}/`, jwks_uri: endpoints.jwks } })
      return
    }
    if (url.pathname.startsWith('/interaction/')) {
      const denied = kind === 'linkedin' ? 'user_cancelled_authorize' : 'access_denied'
      await answerInteraction(
        provider,
        state,
        request,
        response,
        form,
        denied,
        resources ?? {},
        consents.add,
        consents.earlierScopes,
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
      sendJson(response, refusal)
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
