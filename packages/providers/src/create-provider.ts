import type { ConnectedProvider, Provider, ProviderHost } from '@sallyport/mcp-server'
import { StoreUnavailableError } from '@sallyport/oauth'
import { base64url } from 'jose'
import { createBackgroundWork } from './background-work.ts'
import { createConnectionVault } from './connection-vault.ts'
import { readCredentials } from './credentials.ts'
import type { DpopKey, DpopNonces } from './dpop-proof.ts'
import { createDueRefreshes } from './due-refreshes.ts'
import { createExpiryNotices } from './expiry-notices.ts'
import { usableRefreshToken } from './external-token.ts'
import { createTokenSource, type TokenSource } from './get-fresh-token.ts'
import { createLogin } from './login.ts'
import { type ProviderDefinition, readApiOrigins } from './provider-definition.ts'
import { createProviderFetch } from './provider-fetch.ts'
import { createRevocationOutbox } from './revocation-outbox.ts'
import { createRevoke } from './revoke.ts'
import { createSecurityEventReceiver } from './security-event-receiver.ts'
import { hashTokenNames } from './token-names.ts'
import { requestToken, type TokenReply } from './token-request.ts'
import { UpstreamError } from './upstream-error.ts'
import { createUseNotes } from './use-notes.ts'

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
    ...(definition.securityEvents && { tokenNames: hashTokenNames }),
  })

  const nonces: DpopNonces = new Map()
  const randomText = () => base64url.encode(host.random(24))

  async function requestRefresh(refreshToken: string, dpopKey: DpopKey | undefined): Promise<TokenReply> {
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
        // Whatever is configured now: a token that is bound is good for nothing without.
        ...(dpopKey && { proof: { key: dpopKey, jti: randomText, nonces } }),
      })
    } catch (error) {
      if (error instanceof UpstreamError) return { outcome: 'refused', error }
      throw error
    }
  }

  const isApiUrl = (url: URL) => origins.has(url.origin)
  const revoke = createRevoke({
    credentials,
    revocation: async () => (await upstreamServer()).revocation,
    requestRefresh,
    clock,
  })
  const refreshes = createDueRefreshes(host, definition.id, (of, aheadSeconds) =>
    tokens.refreshDue(of, aheadSeconds),
  )
  const notices = createExpiryNotices(host, definition.id)
  const outbox = createRevocationOutbox({ host, provider: definition.id, vault, revoke })
  const tokens: TokenSource = createTokenSource({
    definition,
    vault,
    clientId: credentials.clientId,
    requestRefresh,
    discard: outbox.put,
    isWorking: refreshes.isRunning,
    onUse: createUseNotes(clock, async ({ connection, grant }) => {
      if (usableRefreshToken(grant, clock()) !== undefined) await refreshes.plan(connection)
      await notices.plan(connection, { replaces: false })
    }),
    host,
  })
  // That a sign-in succeeded must not hang on what is told about it later.
  const onMade = async (userId: string) => {
    try {
      for (const { connection } of await vault.list(userId))
        await notices.plan(connection, { replaces: true })
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error
    }
  }
  return {
    login: createLogin({
      definition,
      credentials,
      host,
      vault,
      upstreamServer,
      nonces,
      discard: outbox.putUnkept,
      onMade,
    }),
    isConnected: tokens.isConnected,
    status: tokens.status,
    keepFresh: tokens.keepFresh,
    accounts: tokens.accounts,
    token: (userId, scopes, account, rejected) =>
      rejected === undefined
        ? tokens.get(userId, scopes, account)
        : tokens.renew(userId, scopes, account, rejected),
    fetch: createProviderFetch({
      label: definition.label,
      isApiUrl,
      rejectsToken: definition.rejectsToken ?? (async ({ status }) => status === 401),
      tokens,
    }),
    isApiUrl,
    revoke,
    ...(definition.securityEvents && {
      securityEvents: createSecurityEventReceiver(definition.securityEvents, {
        provider: definition.id,
        clientId: credentials.clientId,
        vault,
        host,
      }),
    }),
    runDue: createBackgroundWork({ refreshes, notices, outbox, tokens }),
  }
}
