import type { Provider } from '@sallyport/mcp-server'
import type { AccountQuery } from './account.ts'
import { createProvider } from './create-provider.ts'
import { errorClassBy } from './error-class.ts'
import { type JsonObject, memberAt } from './json.ts'
import type { ProviderEndpoints } from './provider-definition.ts'
import { vendorServer } from './vendor-server.ts'

export interface NotionOptions {
  /** Default: `NOTION_CLIENT_ID`. */
  clientId?: string
  /** Default: `NOTION_CLIENT_SECRET`. */
  clientSecret?: string
  /** Addresses used in place of Notion's own. Default: none. */
  endpoints?: Partial<ProviderEndpoints>
}

const notionEndpoints: Omit<ProviderEndpoints, 'jwks' | 'userinfo'> = {
  authorization: 'https://api.notion.com/v1/oauth/authorize',
  token: 'https://api.notion.com/v1/oauth/token',
  revocation: 'https://api.notion.com/v1/oauth/revoke',
  issuers: ['https://api.notion.com'],
  apiOrigins: ['https://api.notion.com'],
}

const apiHeaders = { 'notion-version': '2025-09-03' }

/**
 * Notion workspaces, with the pages the user picks. Credentials come from the options, else from the environment. It
 * knows no scopes: tools name it as `notion: []`. It connects only, as its consent always picks a workspace and pages.
 */
export function notion(options: NotionOptions = {}): Provider<'notion'> {
  const endpoints = { ...notionEndpoints, ...options.endpoints }
  return createProvider({
    id: 'notion',
    label: 'Notion',
    clientId: options.clientId,
    clientSecret: options.clientSecret,
    credentialVariables: { clientId: 'NOTION_CLIENT_ID', clientSecret: 'NOTION_CLIENT_SECRET' },
    credentialHint: 'create a public connection at https://www.notion.so/profile/integrations and set both',
    canSignIn: false,
    account,
    identityScopes: [],
    scopeParameter: undefined,
    scopeSeparator: ' ',
    scopeRules: { replySeparator: /\s+/, aliases: {} },
    // Not documented.
    pkce: false,
    nonce: false,
    mergesGrantedScopes: true,
    prompts: [],
    authorizationParameters: () => ({ owner: 'user' }),
    deniedErrors: ['access_denied'],
    errorClass: errorClassBy({
      unauthorized: 'misconfigured',
      missing_version: 'misconfigured',
      internal_server_error: 'transient',
      service_unavailable: 'transient',
      database_connection_unavailable: 'transient',
      gateway_timeout: 'transient',
      conflict_error: 'transient',
    }),
    tokenFormat: { body: 'json', headers: apiHeaders, readReply },
    rotatesRefreshTokens: true,
    // Replies often name no life.
    accessTokenSeconds: 0,
    refreshIdleSeconds: 365 * 86_400,
    apiOrigins: endpoints.apiOrigins,
    upstreamServer: () =>
      vendorServer('Notion', endpoints, {
        clientAuthentication: 'basic',
        givesRefreshTokens: false,
        revocation: {
          endpoint: endpoints.revocation,
          authentication: 'basic',
          token: 'access_token',
          body: 'json',
          headers: apiHeaders,
          goneErrors: ['invalid_grant', 'invalid_token'],
        },
      }),
  })
}

/** Errors of its API, which the token endpoint may answer with too, have `code` in place of `error`. */
function readReply(reply: JsonObject): JsonObject {
  return reply.object === 'error' ? { error: reply.code } : reply
}

/** A connection of the workspace itself has no user; its bot stands for it. */
function account({ reply }: AccountQuery): { subject: string; name?: string } {
  const workspace = memberAt(reply, 'workspace_id')
  const owner = memberAt(reply, 'owner.user.id') ?? reply.bot_id
  const name = memberAt(reply, 'owner.user.name')
  return {
    subject: typeof workspace === 'string' && typeof owner === 'string' ? `${workspace}:${owner}` : '',
    ...(typeof name === 'string' && { name }),
  }
}
