import type { ConnectionStatus, RedirectLogin } from '@sallyport/oauth'
import type { ConnectedProvider, ExternalToken, Provider } from './provider.ts'

/** A provider whose connections are in a set, and whose API is `https://<id>.example`. */
export function fakeProvider<const Id extends string>(id: Id) {
  const connections = new Map<string, readonly string[]>()
  const requests: { userId: string; url: string; scopes: readonly string[] }[] = []
  const started: { scopes: readonly string[] }[] = []
  let failure: Error | undefined
  const check = () => {
    if (failure) throw failure
  }
  const login: RedirectLogin = {
    kind: 'redirect',
    id,
    label: id.toUpperCase(),
    async start({ callbackUrl, upstreamState, scopes }) {
      started.push({ scopes })
      const url = new URL(`https://${id}.example/authorize`)
      url.searchParams.set('redirect_uri', callbackUrl)
      url.searchParams.set('state', upstreamState)
      return { url: url.href, memory: {} }
    },
    async finish({ parameters, scopes }) {
      const subject = parameters.get('code') ?? ''
      return {
        issuer: `https://${id}.example`,
        subject,
        onUser: async userId => void connections.set(userId, scopes),
      }
    },
  }
  const statusOf = (userId: string, scopes: readonly string[]): ConnectionStatus => {
    const granted = connections.get(userId) ?? []
    const missingScopes = scopes.filter(scope => !granted.includes(scope))
    return {
      state: missingScopes.length > 0 || !connections.has(userId) ? 'needs_consent' : 'active',
      scopes: granted,
      missingScopes,
      lastSuccessAt: undefined,
      lastErrorClass: undefined,
      lastErrorAt: undefined,
      nextAttemptAt: undefined,
      consentEndsAt: undefined,
    }
  }
  const token: ExternalToken = { value: `external-token-of-${id}`, expiresAt: 0, scopes: [] }
  const connected: ConnectedProvider = {
    login,
    isConnected: async (userId, scopes) =>
      scopes.every(scope => connections.get(userId)?.includes(scope) === true),
    status: async (userId, scopes) => statusOf(userId, scopes),
    accounts: async userId =>
      connections.has(userId)
        ? [
            {
              id: `account-of-${userId}`,
              label: userId,
              isDefault: true,
              state: 'active',
              scopes: connections.get(userId) ?? [],
            },
          ]
        : [],
    keepFresh: async userId => (connections.has(userId) ? statusOf(userId, []) : undefined),
    async token() {
      check()
      return token
    },
    async fetch(userId, scopes, input, init) {
      check()
      init?.signal?.throwIfAborted()
      requests.push({ userId, url: String(input instanceof Request ? input.url : input), scopes })
      return Response.json({ via: id })
    },
    isApiUrl: url => url.origin === `https://${id}.example`,
  }
  const provider: Provider<Id> = { id, label: login.label, connect: () => connected }
  return {
    provider,
    connected,
    connections,
    requests,
    started,
    fail(error: Error | undefined) {
      failure = error
    },
  }
}
