import {
  type AccessTokenFormat,
  ConfigurationError,
  type Lifetimes,
  type SigningAlgorithm,
} from '@sallyport/oauth'
import { z } from 'zod'
import { type Environment, type Variable, variables } from './environment.ts'
import { isLoopback } from './loopback.ts'
import { isNetwork } from './networks.ts'

/** pino's levels. */
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

/** Where sign-ins and connections are kept. */
export type SessionProvider = 'file' | 'memory' | 'redis'

/** What Redis waits for before a sign-in, a refresh or a provider's new token counts. */
export type RedisWaitFor = 'none' | 'replica' | 'disk' | 'replica-disk'

/** Settings a deployer makes by environment variable; the same in code, where code wins. */
export interface Settings {
  /** `PORT`. Default 3000; 0 takes any free port. */
  port?: number
  /** `HOST`. Default `127.0.0.1`, or all interfaces when the public URL is not loopback. */
  host?: string
  /** `PUBLIC_URL`: the origin clients reach. Default `http://localhost:<port>`. */
  publicUrl?: string
  /** `SALLYPORT_SECRET`: secrets of at least 32 bytes, newest first. Created in development. */
  secrets?: string | readonly string[]
  /** `SALLYPORT_DIR`: folder of the file store and of the development secret. Default `.sallyport`. */
  directory?: string
  /**
   * `SALLYPORT_TRUSTED_PROXIES`: addresses and networks, such as `10.0.0.0/8`, of the reverse proxies in front. What
   * they say in `X-Forwarded-For` is believed, for rate limits and events only. Default: none.
   */
  trustedProxies?: readonly string[]
  /** `SALLYPORT_AUDIT_LOG`: file that every event is appended to as a line of JSON. Default: none. */
  audit?: { path: string }
  /**
   * `SALLYPORT_TOKEN`: access token of the user of a server over stdio, who then does not sign in through the browser.
   * Without effect over HTTP. Default: none.
   */
  token?: string
  /** `SESSION_PROVIDER`. Default `redis` when there is a Redis URL, else `file`. */
  sessionProvider?: SessionProvider
  /** `SESSION_REDIS_URL`: `redis://`, `rediss://`, `redis+sentinel://h1,h2/name`; a comma list is a cluster. */
  redisUrl?: string
  /**
   * `SESSION_REDIS_WAIT_FOR`: `replica`, `disk` or `replica-disk` to have sign-ins, refreshes, revocations and provider
   * tokens confirmed there before they count. Default `none`.
   */
  redisWaitFor?: RedisWaitFor
  /** `OAUTH_SANDBOX`: the tenant whose records this server sees. Default `default`. */
  sandbox?: string
  /** `OAUTH_AUTH_CODE_TTL`, `OAUTH_ACCESS_TOKEN_TTL`, `OAUTH_REFRESH_TOKEN_TTL`, `OAUTH_SESSION_MAX_AGE`, `OAUTH_REFRESH_GRACE`. */
  lifetimes?: Partial<Lifetimes>
  /** `OAUTH_EXTERNAL_TOKEN_TTL`, seconds. Default 5184000 (60 days). */
  externalTokenSeconds?: number
  /**
   * `OAUTH_ACCESS_TOKEN_FORMAT`: `opaque` seals access tokens, so that clients learn nothing from them and other
   * resource servers have to introspect. Default `jwt`.
   */
  accessTokenFormat?: AccessTokenFormat
  /** `OAUTH_SIGNING_ALG`. Default ES256. */
  signingAlgorithm?: SigningAlgorithm
  /** `OAUTH_RATE_LIMIT`: factor on all limits. Default 1; 0 turns them off, not in production. */
  rateLimit?: number
  /** `OAUTH_CIMD_LOOPBACK`: lets client metadata documents on `https://localhost:<port>` in. Not in production. */
  metadataDocumentsOnLoopback?: boolean
  /** `LOG_LEVEL`. Default `info`. */
  logLevel?: LogLevel
}

/** Settings from code and environment, checked. */
export interface Config {
  production: boolean
  port: number
  /** Undefined: all interfaces. */
  host: string | undefined
  /** Undefined: `http://localhost:<port>` with the port it will listen on. */
  publicUrl: string | undefined
  /** Undefined: none configured. */
  secrets: readonly string[] | undefined
  directory: string
  trustedProxies: readonly string[]
  /** Undefined: none. */
  auditPath: string | undefined
  /** Undefined: none. */
  token: string | undefined
  /** How `start()` serves when it is not told. */
  transport: 'http' | 'stdio'
  sessionProvider: SessionProvider
  /** Defined when `sessionProvider` is `redis`. */
  redisUrl: string | undefined
  redisWaitFor: RedisWaitFor
  sandbox: string
  lifetimes: Lifetimes
  externalTokenSeconds: number
  accessTokenFormat: AccessTokenFormat
  signingAlgorithm: SigningAlgorithm
  rateLimit: number
  metadataDocumentsOnLoopback: boolean
  logLevel: LogLevel
}

/** A whole number; a variable's text counts when it has digits only, so that `10s` or `1e3` is an error. */
const wholeNumber = (name: Variable, smallest: number, largest: number) => {
  const error = `${name} must be a whole number from ${smallest} to ${largest}.`
  return z.preprocess(
    value => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value),
    z.int({ error }).min(smallest, { error }).max(largest, { error }),
  )
}
const year = 31_536_000

const choice = <const Values extends readonly string[]>(name: Variable, values: Values) =>
  z.enum(values, { error: `${name} must be one of ${values.join(', ')}.` })

const trustedProxiesError =
  'SALLYPORT_TRUSTED_PROXIES must be IP addresses and networks such as 10.0.0.0/8, separated by commas, and not every address.'

const schema = z.object({
  PORT: wholeNumber('PORT', 0, 65_535).default(3000),
  HOST: z
    .string()
    .regex(/^[A-Za-z0-9.:_-]+$/, { error: 'HOST must be one IP address or host name, without a port.' })
    .optional(),
  PUBLIC_URL: z.string({ error: 'PUBLIC_URL must be a URL.' }).transform(checkedPublicUrl).optional(),
  SALLYPORT_SECRET: z
    .preprocess(
      value => (typeof value === 'string' ? value.split(',').map(secret => secret.trim()) : value),
      z
        .array(
          z.string({ error: 'SALLYPORT_SECRET must be text.' }).min(1, {
            error:
              'SALLYPORT_SECRET has a comma with no secret beside it: put the secret there, or take the comma out.',
          }),
        )
        .readonly(),
    )
    .optional(),
  SALLYPORT_DIR: z.string({ error: 'SALLYPORT_DIR must be the path of a folder.' }).default('.sallyport'),
  SALLYPORT_TRUSTED_PROXIES: z
    .preprocess(
      value =>
        typeof value === 'string'
          ? value
              .split(',')
              .map(entry => entry.trim())
              .filter(Boolean)
          : value,
      z
        .array(z.string({ error: trustedProxiesError }).refine(isNetwork, { error: trustedProxiesError }), {
          error: trustedProxiesError,
        })
        .readonly(),
    )
    .default([]),
  SALLYPORT_AUDIT_LOG: z.string({ error: 'SALLYPORT_AUDIT_LOG must be the path of a file.' }).optional(),
  SALLYPORT_TOKEN: z
    .string()
    .regex(/^[A-Za-z0-9\-._~+/]+=*$/, {
      error: 'SALLYPORT_TOKEN must be one access token, and nothing else.',
    })
    .optional(),
  SALLYPORT_TRANSPORT: choice('SALLYPORT_TRANSPORT', ['http', 'stdio']).default('http'),
  SESSION_PROVIDER: choice('SESSION_PROVIDER', ['file', 'memory', 'redis']).optional(),
  SESSION_REDIS_URL: z.string().optional(),
  SESSION_REDIS_WAIT_FOR: choice('SESSION_REDIS_WAIT_FOR', [
    'none',
    'replica',
    'disk',
    'replica-disk',
  ]).default('none'),
  OAUTH_SANDBOX: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, {
      error: 'OAUTH_SANDBOX must be 1 to 63 of a-z, 0-9, "-" and "_".',
    })
    .default('default'),
  OAUTH_AUTH_CODE_TTL: wholeNumber('OAUTH_AUTH_CODE_TTL', 1, 3600).default(600),
  OAUTH_ACCESS_TOKEN_TTL: wholeNumber('OAUTH_ACCESS_TOKEN_TTL', 1, 86_400).default(900),
  OAUTH_REFRESH_TOKEN_TTL: wholeNumber('OAUTH_REFRESH_TOKEN_TTL', 1, year).default(86_400),
  OAUTH_EXTERNAL_TOKEN_TTL: wholeNumber('OAUTH_EXTERNAL_TOKEN_TTL', 60, year).default(5_184_000),
  OAUTH_SESSION_MAX_AGE: wholeNumber('OAUTH_SESSION_MAX_AGE', 0, 10 * year).default(2_592_000),
  OAUTH_REFRESH_GRACE: wholeNumber('OAUTH_REFRESH_GRACE', 0, 60).default(10),
  OAUTH_ACCESS_TOKEN_FORMAT: choice('OAUTH_ACCESS_TOKEN_FORMAT', ['jwt', 'opaque']).default('jwt'),
  OAUTH_SIGNING_ALG: choice('OAUTH_SIGNING_ALG', ['ES256', 'RS256', 'PS256', 'EdDSA']).default('ES256'),
  OAUTH_RATE_LIMIT: z
    .preprocess(
      value => (typeof value === 'string' && /^\d{1,6}(\.\d{1,6})?$/.test(value) ? Number(value) : value),
      z.number({ error: 'OAUTH_RATE_LIMIT must be a number, 0 or more.' }).min(0, {
        error: 'OAUTH_RATE_LIMIT must be a number, 0 or more.',
      }),
    )
    .default(1),
  OAUTH_CIMD_LOOPBACK: z
    .preprocess(
      value => (value === '1' || value === '0' ? value === '1' : value),
      z.boolean({ error: 'OAUTH_CIMD_LOOPBACK must be 0 or 1.' }),
    )
    .default(false),
  LOG_LEVEL: choice('LOG_LEVEL', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default(
    'info',
  ),
})

/**
 * Settings from code, then environment, then defaults.
 *
 * @throws {ConfigurationError} one sentence that names the variable and what it must be
 */
export function loadConfig(settings: Settings, environment: Environment): Config {
  const { lifetimes = {} } = settings
  const fromCode: Partial<Record<Variable, unknown>> = {
    PORT: settings.port,
    HOST: settings.host,
    PUBLIC_URL: settings.publicUrl,
    SALLYPORT_SECRET: settings.secrets,
    SALLYPORT_DIR: settings.directory,
    SALLYPORT_TRUSTED_PROXIES: settings.trustedProxies,
    SALLYPORT_AUDIT_LOG: settings.audit?.path,
    SALLYPORT_TOKEN: settings.token,
    SESSION_PROVIDER: settings.sessionProvider,
    SESSION_REDIS_URL: settings.redisUrl,
    SESSION_REDIS_WAIT_FOR: settings.redisWaitFor,
    OAUTH_SANDBOX: settings.sandbox,
    OAUTH_AUTH_CODE_TTL: lifetimes.authorizationCodeSeconds,
    OAUTH_ACCESS_TOKEN_TTL: lifetimes.accessTokenSeconds,
    OAUTH_REFRESH_TOKEN_TTL: lifetimes.refreshTokenSeconds,
    OAUTH_SESSION_MAX_AGE: lifetimes.sessionMaxAgeSeconds,
    OAUTH_REFRESH_GRACE: lifetimes.refreshGraceSeconds,
    OAUTH_EXTERNAL_TOKEN_TTL: settings.externalTokenSeconds,
    OAUTH_ACCESS_TOKEN_FORMAT: settings.accessTokenFormat,
    OAUTH_SIGNING_ALG: settings.signingAlgorithm,
    OAUTH_RATE_LIMIT: settings.rateLimit,
    OAUTH_CIMD_LOOPBACK: settings.metadataDocumentsOnLoopback,
    LOG_LEVEL: settings.logLevel,
  }
  // A variable that is set to nothing counts as not set: that is how compose files and shells leave one out.
  const parsed = schema.safeParse(
    Object.fromEntries(
      variables.map(name => [name, fromCode[name] ?? (environment[name]?.trim() || undefined)]),
    ),
  )
  if (!parsed.success) {
    throw new ConfigurationError(parsed.error.issues[0]?.message ?? 'The configuration is not valid.')
  }
  const values = parsed.data
  const production = environment.NODE_ENV === 'production'
  if (production && values.OAUTH_RATE_LIMIT === 0) {
    throw new ConfigurationError(
      'OAUTH_RATE_LIMIT is 0, which production refuses: give it a positive number.',
    )
  }
  if (production && values.OAUTH_CIMD_LOOPBACK) {
    throw new ConfigurationError('OAUTH_CIMD_LOOPBACK is for tests and production refuses it: remove it.')
  }
  const publicUrl = values.PUBLIC_URL
  const isPublic = publicUrl !== undefined && !isLoopback(new URL(publicUrl).hostname)
  return {
    production,
    port: values.PORT,
    host: values.HOST ?? (isPublic ? undefined : '127.0.0.1'),
    publicUrl,
    secrets: values.SALLYPORT_SECRET,
    directory: values.SALLYPORT_DIR,
    trustedProxies: values.SALLYPORT_TRUSTED_PROXIES,
    auditPath: values.SALLYPORT_AUDIT_LOG,
    token: values.SALLYPORT_TOKEN,
    transport: values.SALLYPORT_TRANSPORT,
    ...checkedSession(values.SESSION_PROVIDER, values.SESSION_REDIS_URL, values.SESSION_REDIS_WAIT_FOR),
    sandbox: values.OAUTH_SANDBOX,
    lifetimes: {
      authorizationCodeSeconds: values.OAUTH_AUTH_CODE_TTL,
      accessTokenSeconds: values.OAUTH_ACCESS_TOKEN_TTL,
      refreshTokenSeconds: values.OAUTH_REFRESH_TOKEN_TTL,
      sessionMaxAgeSeconds: values.OAUTH_SESSION_MAX_AGE,
      refreshGraceSeconds: values.OAUTH_REFRESH_GRACE,
    },
    externalTokenSeconds: values.OAUTH_EXTERNAL_TOKEN_TTL,
    accessTokenFormat: values.OAUTH_ACCESS_TOKEN_FORMAT,
    signingAlgorithm: values.OAUTH_SIGNING_ALG,
    rateLimit: values.OAUTH_RATE_LIMIT,
    metadataDocumentsOnLoopback: values.OAUTH_CIMD_LOOPBACK,
    logLevel: values.LOG_LEVEL,
  }
}

function checkedSession(
  name: SessionProvider | undefined,
  redisUrl: string | undefined,
  redisWaitFor: RedisWaitFor,
): Pick<Config, 'sessionProvider' | 'redisUrl' | 'redisWaitFor'> {
  const sessionProvider = name ?? (redisUrl === undefined ? 'file' : 'redis')
  if (sessionProvider === 'redis' && redisUrl === undefined) {
    throw new ConfigurationError('SESSION_PROVIDER is redis: set SESSION_REDIS_URL to its address.')
  }
  if (sessionProvider !== 'redis' && redisUrl !== undefined) {
    throw new ConfigurationError(
      `SESSION_REDIS_URL has no effect while SESSION_PROVIDER is ${sessionProvider}: remove one of them.`,
    )
  }
  if (sessionProvider !== 'redis' && redisWaitFor !== 'none') {
    throw new ConfigurationError(
      `SESSION_REDIS_WAIT_FOR has no effect while SESSION_PROVIDER is ${sessionProvider}: remove it.`,
    )
  }
  return { sessionProvider, redisUrl, redisWaitFor }
}

/**
 * The public URL, byte for byte as an origin: issuer and resource derive from it, so it must not be open to
 * reading in two ways (R2, R3).
 */
function checkedPublicUrl(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new ConfigurationError('PUBLIC_URL must be an https URL, such as https://mcp.example.com.')
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw new ConfigurationError('PUBLIC_URL must be https: plain http is for localhost only.')
  }
  if (value !== url.origin && value !== `${url.origin}/`) {
    throw new ConfigurationError(
      'PUBLIC_URL must be an origin in lower case, without path, query, user name or default port, such as https://mcp.example.com.',
    )
  }
  return url.origin
}
