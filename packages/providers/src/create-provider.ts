import type { ConnectedProvider, Provider, ProviderHost } from '@sallyport/mcp-server'
import { createConnectionVault } from './connection-vault.ts'
import { createTokenSource } from './get-fresh-token.ts'
import { createLogin } from './login.ts'
import { type ProviderDefinition, readApiOrigins, readCredentials } from './provider-definition.ts'
import { createProviderFetch } from './provider-fetch.ts'
import { createRevoke } from './revoke.ts'
import { requestToken, type TokenReply } from './token-request.ts'
import { UpstreamError } from './upstream-error.ts'

/** Makes a provider of its definition: every part is wired here, and only once a server needs it. */
export function createProvider<const Id extends string>(definition: ProviderDefinition<Id>): Provider<Id> {
  return {
    id: definition.id,
    label: definition.label,
    ...(!definition.canSignIn && { connectOnly: true }),
    connect: host => connect(definition, host),
  }
}

function connect(definition: ProviderDefinition, host: ProviderHost): ConnectedProvider {
  const { clock } = host
  const credentials = readCredentials(definition, host.environment)
  const origins = readApiOrigins(definition)
  const upstreamServer = definition.upstreamServer(clock, host.environment)
  const vault = createConnectionVault(host, {
    provider: definition.id,
    refreshIdleSeconds: definition.refreshIdleSeconds,
  })

  async function requestRefresh(refreshToken: string): Promise<TokenReply> {
    try {
      const { tokenEndpoint, clientAuthentication } = await upstreamServer()
      return await requestToken({
        endpoint: tokenEndpoint,
        clientAuthentication,
        credentials,
        parameters: { grant_type: 'refresh_token', refresh_token: refreshToken },
        errorClass: definition.errorClass,
        format: definition.tokenFormat,
        clock,
      })
    } catch (error) {
      if (error instanceof UpstreamError) return { outcome: 'refused', error }
      throw error
    }
  }

  const isApiUrl = (url: URL) => origins.has(url.origin)
  const tokens = createTokenSource({
    definition,
    vault,
    clientId: credentials.clientId,
    requestRefresh,
    host,
  })
  return {
    login: createLogin({ definition, credentials, host, vault, upstreamServer }),
    isConnected: tokens.isConnected,
    status: tokens.status,
    keepFresh: tokens.keepFresh,
    accounts: tokens.accounts,
    token: tokens.get,
    fetch: createProviderFetch({
      label: definition.label,
      isApiUrl,
      rejectsToken: definition.rejectsToken ?? (async ({ status }) => status === 401),
      tokens,
    }),
    isApiUrl,
    revoke: createRevoke({
      credentials,
      revocation: async () => (await upstreamServer()).revocation,
      requestRefresh,
      clock,
    }),
  }
}
