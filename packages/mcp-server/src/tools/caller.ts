import type { AccessToken } from '@sallyport/oauth'

interface CallerBase {
  readonly clientId: string
  /** Who issued the token: this server, or the issuer it trusts. */
  readonly issuer: string
  /** Whom the token speaks for, as its issuer names them (`sub`): unique at that issuer only. */
  readonly subject: string
  readonly scopes: readonly string[]
  /** Id of the sign-in (token family). */
  readonly grantId: string
  /** When the user authenticated, seconds since the epoch. */
  readonly authTime: number | undefined
  /** When the caller's token ends, seconds since the epoch. */
  readonly expiresAt: number
}

/** Who calls, through which client, allowed to do what. Never the token itself (R158). */
export interface Caller extends CallerBase {
  readonly principal: 'user'
  /** Stable random id of the user on this server; not an e-mail address. */
  readonly userId: string
}

/**
 * A client that calls for itself (`client_credentials`): there is no user, and nothing of a user's to be had (R115).
 * Only tools with `clients: true` meet it.
 */
export interface ClientCaller extends CallerBase {
  readonly principal: 'client'
  readonly userId: undefined
}

/** What of a verified token a tool may see. */
export const callerOf = (token: AccessToken): Caller | ClientCaller => ({
  ...(token.principal === 'user'
    ? { principal: token.principal, userId: token.userId }
    : { principal: token.principal, userId: undefined }),
  clientId: token.clientId,
  issuer: token.issuer,
  subject: token.subject,
  scopes: token.scopes,
  grantId: token.grantId,
  authTime: token.authTime,
  expiresAt: token.expiresAt,
})

/**
 * Whether a caller has authenticated as lately as is asked. Who does not say when is not recent; a client by itself has
 * never signed in, and never can.
 */
export const isRecent = (
  { principal, authTime }: Pick<Caller | ClientCaller, 'principal' | 'authTime'>,
  maxAgeSeconds: number | undefined,
  now: number,
): boolean =>
  principal === 'client' ||
  maxAgeSeconds === undefined ||
  (authTime !== undefined && authTime + maxAgeSeconds >= now)
