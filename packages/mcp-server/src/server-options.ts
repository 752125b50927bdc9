import {
  ConfigurationError,
  type ConfiguredClient,
  type Lifetimes,
  type SigningKeyRotation,
  type TokenLifetimes,
} from '@sallyport/oauth'
import type { ExchangeTiming } from './elicit/exchange.ts'
import { checkKeys } from './known-keys.ts'
import type { ServerOptions, StartOptions } from './server.ts'
import type { SessionOptions } from './sessions/sessions.ts'
import type { TaskOptions } from './tasks/task-options.ts'

/** @throws {ConfigurationError} when a value cannot be that of its option, which `where` names */
type Check = (value: unknown, where: string) => void

const must =
  (isRight: (value: unknown) => boolean, words: string): Check =>
  (value, where) => {
    if (!isRight(value)) throw new ConfigurationError(`${where} ${words}`)
  }

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isListOf = (value: unknown, isRight: (each: unknown) => boolean) =>
  Array.isArray(value) && value.every(isRight)
const isText = (value: unknown) => typeof value === 'string'

/** Checked where it is used. */
const elsewhere: Check = () => {}
const text = must(isText, 'must be a text.')
const name = must(value => isText(value) && value !== '', 'must be a text, and not empty.')
const yesOrNo = must(value => typeof value === 'boolean', 'must be true or false.')
const list = must(Array.isArray, 'must be a list.')
const texts = must(value => isListOf(value, isText), 'must be a list of texts.')
const object = must(isObject, 'must be an object.')
const callback = must(value => typeof value === 'function', 'must be a function.')
const count = must(
  value => Number.isSafeInteger(value) && (value as number) > 0,
  'must be a whole number, 1 or more.',
)

const keysOnly =
  (known: Readonly<Record<string, true>>): Check =>
  (value, where) =>
    checkKeys(value, known, where)

const tokenLifetimeKeys: Readonly<Record<keyof TokenLifetimes, true>> = {
  accessTokenSeconds: true,
  refreshTokenSeconds: true,
  sessionMaxAgeSeconds: true,
}
const lifetimeKeys: Readonly<Record<keyof Lifetimes, true>> = {
  ...tokenLifetimeKeys,
  authorizationCodeSeconds: true,
  refreshGraceSeconds: true,
}
const rotationKeys: Readonly<Record<keyof SigningKeyRotation, true>> = {
  publishAheadSeconds: true,
  rotateAfterSeconds: true,
  tokenSeconds: true,
  cacheSeconds: true,
}
const timingKeys: Readonly<Record<keyof ExchangeTiming, true>> = {
  answerMs: true,
  roundMs: true,
  pollMs: true,
}
const taskKeys: Readonly<Record<keyof TaskOptions, true>> = {
  ttlSeconds: true,
  maxPerCaller: true,
  maxAnonymous: true,
  pollIntervalMs: true,
  maxResultBytes: true,
}
const sessionChecks: Readonly<Record<keyof SessionOptions, Check>> = {
  when: must(
    value => value === 'needed' || value === 'always' || value === 'never',
    'must be "needed", "always" or "never".',
  ),
  perCaller: count,
  total: count,
  idleSeconds: count,
}
const clientKeys: Readonly<Record<keyof ConfiguredClient, true>> = {
  clientId: true,
  clientName: true,
  redirectUris: true,
  postLogoutRedirectUris: true,
  clientSecret: true,
  jwks: true,
  jwksUri: true,
  tokenEndpointAuthSigningAlg: true,
  acceptTokenEndpointAudience: true,
  tokenEndpointAuthMethod: true,
  grantTypes: true,
  scopes: true,
  dpopBoundAccessTokens: true,
  lifetimes: true,
  resources: true,
}

const isProvider = (value: unknown) =>
  isObject(value) && isText(value.id) && typeof value.connect === 'function'
const isSignIn = (value: unknown) =>
  isProvider(value) || (isObject(value) && (value.kind === 'page' || value.kind === 'redirect'))

/** Every option there is. */
const checks: Readonly<Record<keyof ServerOptions, Check>> = {
  name,
  version: name,
  title: text,
  description: text,
  websiteUrl: text,
  icons: list,
  instructions: text,
  signIn: must(
    isSignIn,
    'must be a way to sign in, such as google() or developmentSignIn(), with the parentheses.',
  ),
  issuer: elsewhere,
  stdioClientId: text,
  providers: must(
    value => isListOf(value, isProvider),
    'must be a list of providers, such as [google()], with the parentheses.',
  ),
  store: must(
    value => isObject(value) && typeof value.watchChanges === 'function',
    'must be a store, such as createMemoryStore().',
  ),
  allowedHosts: must(
    value => isListOf(value, host => isText(host) && /^[^\s/@,]+$/.test(String(host))),
    'must be a list of values of the Host header, such as "internal:3000", without "https://".',
  ),
  allowedOrigins: must(
    value =>
      isListOf(value, origin => isText(origin) && /^[a-z][a-z0-9+.-]*:\/\/[^/\s]+$/.test(String(origin))),
    'must be a list of origins, such as "https://app.example.com", without path and without wildcards.',
  ),
  challengeOnConnect: yesOrNo,
  inBandChallenges: must(
    value => typeof value === 'boolean' || typeof value === 'function',
    'must be true, false or a function of the user agent.',
  ),
  pageSize: elsewhere,
  cache: elsewhere,
  exposeErrors: yesOrNo,
  leanCalls: yesOrNo,
  maxBodyBytes: count,
  sessions: (value, where) => checkAll(value, sessionChecks, where, key => `sessions.${key}`),
  tasks: keysOnly(taskKeys),
  questionTiming: keysOnly(timingKeys),
  logger: must(
    value => isObject(value) && typeof value.info === 'function' && typeof value.child === 'function',
    "must be a logger as pino's are, with info, warn, error, debug and child.",
  ),
  onEvent: callback,
  environment: object,
  clock: callback,
  random: callback,
  port: elsewhere,
  host: elsewhere,
  publicUrl: elsewhere,
  secrets: elsewhere,
  directory: elsewhere,
  trustedProxies: elsewhere,
  audit: keysOnly({ path: true }),
  token: elsewhere,
  sessionProvider: elsewhere,
  redisUrl: elsewhere,
  redisWaitFor: elsewhere,
  sandbox: elsewhere,
  lifetimes: keysOnly(lifetimeKeys),
  externalTokenSeconds: elsewhere,
  accessTokenFormat: elsewhere,
  signingAlgorithm: elsewhere,
  rateLimit: elsewhere,
  metadataDocumentsOnLoopback: elsewhere,
  logLevel: elsewhere,
  openid: yesOrNo,
  dpop: yesOrNo,
  dpopNonces: yesOrNo,
  backgroundWork: yesOrNo,
  revokesUpstream: yesOrNo,
  clients(value, where) {
    list(value, where)
    for (const client of value as readonly Partial<ConfiguredClient>[]) {
      checkKeys(client, clientKeys, 'An entry of clients')
      name(client.clientId, 'clientId in an entry of clients')
    }
  },
  enterpriseIssuers: list,
  resourceServers: list,
  scopes: must(
    value => isObject(value) && Object.values(value).every(isText),
    "must say of each scope what it allows, such as { 'notes:write': 'Add notes to your notebook' }.",
  ),
  scopeHierarchy: object,
  sensitiveScopes: texts,
  scopeLifetimes(value, where) {
    object(value, where)
    for (const [scope, own] of Object.entries(value as object)) {
      checkKeys(own, tokenLifetimeKeys, `"${scope}" of scopeLifetimes`)
    }
  },
  cleanupIntervalSeconds: elsewhere,
  connectAtSignIn: yesOrNo,
  dynamicRegistration: yesOrNo,
  clientIdMetadataDocuments: yesOrNo,
  redirectUriSchemes: texts,
  signingKeyRotation: keysOnly(rotationKeys),
  signers: list,
}

const startChecks: Readonly<Record<keyof StartOptions, Check>> = {
  transport: must(
    value => value === 'http' || value === 'stdio' || value === 'mounted',
    'must be "http", "stdio" or "mounted".',
  ),
  silent: yesOrNo,
  throwOnError: yesOrNo,
  handleSignals: yesOrNo,
}

function checkAll(
  given: unknown,
  all: Readonly<Record<string, Check>>,
  where: string,
  nameOf = (key: string) => `The option ${key}`,
): void {
  checkKeys(given, all, where)
  for (const [key, value] of Object.entries(given as object)) {
    if (value !== undefined) all[key]?.(value, nameOf(key))
  }
}

/**
 * Checks what `createServer` is given, as far as it does not depend on the machine.
 *
 * @throws {ConfigurationError} in one sentence that names the option
 */
export function checkServerOptions(options: unknown): void {
  checkAll(options, checks, 'createServer')
  for (const key of ['name', 'version'] as const) {
    if ((options as ServerOptions)[key] === undefined) {
      throw new ConfigurationError(`createServer needs the option ${key}: clients are told it.`)
    }
  }
}

/** @throws {ConfigurationError} in one sentence that names the option */
export const checkStartOptions = (options: unknown): void => checkAll(options, startChecks, 'server.start')
