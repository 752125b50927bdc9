import type { Provider } from '@sallyport/mcp-server'
import { ConfigurationError } from '@sallyport/oauth'
import { type AccountLookup, accountAt, readAccount } from './account.ts'
import { createProvider } from './create-provider.ts'
import { type ErrorMap, errorClassBy } from './error-class.ts'
import { asObject, type JsonObject, memberAt } from './json.ts'
import { assertProviderId } from './provider-definition.ts'
import type { Revocation } from './revoke.ts'
import { assertSecureUrls } from './secure-url.ts'
import type { TokenFormat } from './token-format.ts'

/** How the accounts of a provider without OpenID Connect are told apart. */
export type AccountOptions =
  /** Members of an endpoint's JSON answer, as paths such as `data.id`. Default of `subject`: `sub`. */
  | { url: string; subject?: string; name?: string; headers?: Readonly<Record<string, string>> }
  /** Members of the token reply. */
  | { reply: { subject: string; name?: string } }
  | AccountLookup

export interface OAuth2Options<Id extends string = string> {
  /** Name tools use; lower-case letters, digits and hyphens. Its callback path is `/oauth/callback/{id}`. */
  id: Id
  /** Name users know it by. */
  label: string
  clientId: string
  clientSecret: string
  /** Where the browser is sent; https, or http on localhost, as all addresses here. */
  authorizationEndpoint: string
  tokenEndpoint: string
  /** Origins that receive the user's token. */
  apiOrigins: readonly string[]
  /**
   * Under which users are kept, so that it must stay as it is when endpoints move; and what the provider calls itself,
   * if its answers carry `iss` (RFC 9207 §2). Default: the token endpoint.
   */
  issuer?: string
  /**
   * Who the user is; must be stable, and never given to somebody else. Users can sign in with a provider that has it.
   * Default: nobody; the provider connects only, and each connection counts as another account.
   */
  account?: AccountOptions
  /** Whether users may sign in with it. Default: whether there is `account`. */
  canSignIn?: boolean
  /** How the client secret is sent. Default `basic` (RFC 6749 §2.3.1). */
  clientAuthentication?: 'basic' | 'post'
  /** How the token endpoint is asked. Default `form`. */
  tokenBody?: 'form' | 'json'
  /** Headers for the token endpoint. Default: none. */
  tokenHeaders?: Readonly<Record<string, string>>
  /** Path of the member of the reply that holds the user's tokens, such as `authed_user`, if it is there. */
  tokenReplyPath?: string
  /** Scopes asked for on every trip. Default: none. */
  scopes?: readonly string[]
  /** Parameter that carries scopes. Default `scope`; false for a provider that knows none. */
  scopeParameter?: string | false
  /** Between scopes, as asked and as answered. Default: a space. */
  scopeSeparator?: string
  /** Whether a new grant includes earlier ones by itself. Default false: they are asked for again. */
  mergesGrantedScopes?: boolean
  /** Unit of `expires_in` and `refresh_token_expires_in`. Default `seconds`. */
  expiresInUnit?: 'milliseconds' | 'seconds' | 'minutes'
  /** Life of an access token whose reply names none, in seconds. Default 0: it does not end by itself. */
  accessTokenSeconds?: number
  /** Life of an unused refresh token whose reply names none, in seconds. Default 31536000 (365 days). */
  refreshTokenSeconds?: number
  /** Whether a refresh spends the refresh token. Default true. */
  rotatesRefreshTokens?: boolean
  /** Whether PKCE S256 is sent (RFC 7636). Default true; false for a provider that refuses it. */
  pkce?: boolean
  /** Parameters for the authorization endpoint beyond the standard ones, which they do not replace. Default: none. */
  authorizationParameters?: Readonly<Record<string, string>>
  /** Classes of error codes that are not in RFC 6749. Default: none. */
  errors?: ErrorMap
  /** Values of `error` in the callback that mean that the user declined. Default `['access_denied']`. */
  deniedErrors?: readonly string[]
  /** How grants are taken back. Default: not at all. */
  revocation?: Revocation
}

/**
 * Any OAuth 2.0 provider, described by its differences from RFC 6749. For one of OpenID Connect there is `oidc()`.
 */
export function oauth2<const Id extends string>(options: OAuth2Options<Id>): Provider<Id> {
  const { id, label, authorizationEndpoint, tokenEndpoint, account, scopeParameter = 'scope' } = options
  const separator = options.scopeSeparator ?? ' '
  return createProvider({
    id,
    label,
    clientId: options.clientId,
    clientSecret: options.clientSecret,
    credentialHint: 'pass both as the provider issued them for this application',
    canSignIn: options.canSignIn ?? account !== undefined,
    hasOneAccount: account === undefined,
    account: toLookup(account),
    identityScopes: options.scopes ?? [],
    scopeParameter: scopeParameter === false ? undefined : scopeParameter,
    scopeSeparator: separator,
    scopeRules: { replySeparator: separator.trim() === '' ? /\s+/ : /[\s,]+/, aliases: {} },
    pkce: options.pkce ?? true,
    nonce: false,
    mergesGrantedScopes: options.mergesGrantedScopes ?? false,
    prompts: [],
    authorizationParameters: () => options.authorizationParameters ?? {},
    deniedErrors: options.deniedErrors ?? ['access_denied'],
    errorClass: errorClassBy(options.errors ?? {}),
    tokenFormat: toTokenFormat(options),
    rotatesRefreshTokens: options.rotatesRefreshTokens ?? true,
    accessTokenSeconds: options.accessTokenSeconds ?? 0,
    refreshIdleSeconds: options.refreshTokenSeconds ?? 365 * 86_400,
    apiOrigins: options.apiOrigins,
    upstreamServer() {
      assertProviderId(id)
      const userinfo = typeof account === 'object' && 'url' in account ? [account.url] : []
      const revocation = options.revocation ? [options.revocation.endpoint] : []
      assertSecureUrls(label, [authorizationEndpoint, tokenEndpoint, ...userinfo, ...revocation])
      if (options.canSignIn && account === undefined) {
        throw new ConfigurationError(
          `Users cannot sign in with ${label} unless it says who they are: give oauth2 the option account.`,
        )
      }
      return async () => ({
        issuers: [options.issuer ?? tokenEndpoint],
        authorizationEndpoint,
        tokenEndpoint,
        clientAuthentication: options.clientAuthentication ?? 'basic',
        idTokenAlgorithms: [],
        // Whether one comes is up to the provider; no consent we know of brings one.
        givesRefreshTokens: false,
        sendsIssuer: false,
        ...(options.revocation && { revocation: options.revocation }),
      })
    },
  })
}

function toLookup(account: AccountOptions | undefined): AccountLookup {
  // Nothing tells two connections apart, so that none may inherit another's refresh token.
  if (account === undefined) return () => ({ subject: crypto.randomUUID() })
  if (typeof account === 'function') return account
  if ('reply' in account) return ({ reply }) => readAccount(reply, account.reply)
  return accountAt({ ...account, subject: account.subject ?? 'sub' })
}

const unitSeconds = { milliseconds: 0.001, seconds: 1, minutes: 60 }

function toTokenFormat(options: OAuth2Options): TokenFormat {
  const { tokenReplyPath, expiresInUnit = 'seconds', scopeParameter } = options
  const inSeconds = (value: unknown) =>
    Number.isFinite(Number(value ?? Number.NaN)) ? Number(value) * unitSeconds[expiresInUnit] : undefined
  return {
    ...(options.tokenBody && { body: options.tokenBody }),
    ...(options.tokenHeaders && { headers: options.tokenHeaders }),
    readReply(reply: JsonObject): JsonObject {
      const nested = tokenReplyPath === undefined ? undefined : asObject(memberAt(reply, tokenReplyPath))
      const { scope, ...members } = nested && reply.error === undefined ? nested : reply
      return {
        ...members,
        // What a provider without scopes writes there is none of ours to compare.
        ...(scopeParameter !== false && { scope }),
        ...(members.expires_in !== undefined && { expires_in: inSeconds(members.expires_in) }),
        ...(members.refresh_token_expires_in !== undefined && {
          refresh_token_expires_in: inSeconds(members.refresh_token_expires_in),
        }),
        // An error without a code is one all the same.
        ...(reply.ok === false && members.error === undefined && { error: 'unknown' }),
      }
    },
  }
}
