/** Environment variables, as Node has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Every variable the framework reads; providers name their own credentials. */
export const variables = [
  'PORT',
  'HOST',
  'PUBLIC_URL',
  'SALLYPORT_SECRET',
  'SALLYPORT_DIR',
  'SALLYPORT_TRUSTED_PROXIES',
  'SALLYPORT_AUDIT_LOG',
  'SALLYPORT_TOKEN',
  'SALLYPORT_TRANSPORT',
  'SESSION_PROVIDER',
  'SESSION_REDIS_URL',
  'SESSION_REDIS_WAIT_FOR',
  'OAUTH_SANDBOX',
  'OAUTH_AUTH_CODE_TTL',
  'OAUTH_ACCESS_TOKEN_TTL',
  'OAUTH_REFRESH_TOKEN_TTL',
  'OAUTH_EXTERNAL_TOKEN_TTL',
  'OAUTH_SESSION_MAX_AGE',
  'OAUTH_REFRESH_GRACE',
  'OAUTH_ACCESS_TOKEN_FORMAT',
  'OAUTH_SIGNING_ALG',
  'OAUTH_RATE_LIMIT',
  'OAUTH_CIMD_LOOPBACK',
  'LOG_LEVEL',
] as const
export type Variable = (typeof variables)[number]

/** Names that look like ours and are not: a typo that would otherwise be ignored without a word. */
export const unknownVariables = (environment: Environment): string[] =>
  Object.keys(environment)
    .filter(
      name =>
        /^(OAUTH_|SALLYPORT_|SESSION_(PROV|REDIS))/.test(name) &&
        !(variables as readonly string[]).includes(name),
    )
    .sort()
