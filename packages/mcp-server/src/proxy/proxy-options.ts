import { ConfigurationError } from '@sallyport/oauth'
import { checkPrefix } from '../composition/prefix.ts'
import { checkKeys } from '../known-keys.ts'
import { isLoopback } from '../loopback.ts'
import { type AccessRule, type AnyAuth, accessRule, mergeRules } from '../tools/access-rule.ts'
import type { Caller, ClientCaller } from '../tools/caller.ts'

/** What our request to the remote server carries. It is never the caller's own access token (R158). */
export type ProxyCredentials<ProviderId extends string = string> =
  /** One token for all callers. */
  | { readonly bearer: string }
  /** Headers for all callers, such as an API key. */
  | { readonly headers: Readonly<Record<string, string>> }
  /** A token of our own for all callers, fetched as a client (`client_credentials`, RFC 6749 §4.4). */
  | ClientCredentials
  /** The caller's own token of a provider, refreshed when it was stale or the remote server refuses it. */
  | {
      readonly provider: ProviderId
      /** Provider scopes it must have. Default: none in particular. */
      readonly scopes?: readonly string[]
    }
  /** Headers by caller. Each caller has a remote session of their own. */
  | HeadersFor

/** A client at an authorization server that the remote server trusts. */
export interface ClientCredentials {
  readonly clientId: string
  readonly clientSecret: string
  /** Token endpoint: `https`, or of this machine. Nothing the remote server says can change where the secret goes. */
  readonly tokenUrl: string
  /** Default: what the authorization server gives. */
  readonly scopes?: readonly string[]
}

/** Headers of the requests made for one caller; undefined is nobody who signed in. */
export type HeadersFor = (
  caller: Caller | ClientCaller | undefined,
) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>

/** Which of the remote server's tools there are, and under which names. All names are those of the remote server. */
export interface ProxiedTools<A = unknown> {
  /** Names, or patterns with `*`. Default: all. */
  readonly include?: readonly string[]
  /** Names, or patterns with `*`, that are left out. Default: none. */
  readonly exclude?: readonly string[]
  /** Name there → name here, without prefix. */
  readonly rename?: Readonly<Record<string, string>>
  /** Names, or patterns with `*` → what else these tools ask of their caller. */
  readonly auth?: Readonly<Record<string, A>>
}

interface ProxyBase<A> {
  /** In front of all names, as with `mount`. Default: none; one proxy of a server can do without. */
  readonly prefix?: string
  /** What all of it asks of its caller, as a tool does. */
  readonly auth?: A
  readonly tools?: ProxiedTools<A> | false
  /** Brings in its resources and templates too. Default true. */
  readonly resources?: boolean
  /** Brings in its prompts too. Default true. */
  readonly prompts?: boolean
  /**
   * How long the remote server may be silent in the middle of a call, in milliseconds; with progress ten times as long
   * in all. Default 60000.
   */
  readonly timeoutMs?: number
  /** Largest result of a call, in bytes. Default 1048576. */
  readonly maxResultBytes?: number
}

/** A remote MCP server, by URL (Streamable HTTP) or by the command that starts it (stdio). */
export type ProxyOptions<A = AnyAuth | undefined, ProviderId extends string = string> = ProxyBase<A> &
  (
    | {
        /** `https`, or of this machine. */
        readonly url: string | URL
        readonly credentials?: ProxyCredentials<ProviderId>
        readonly command?: never
      }
    | {
        readonly command: string
        readonly args?: readonly string[]
        /** Its environment. Nothing of ours is added but `PATH`, `HOME` and the like. Default: none. */
        readonly env?: Readonly<Record<string, string>>
        readonly cwd?: string
        readonly url?: never
      }
  )

/** Options, checked and with everything filled in. */
export interface ProxySettings {
  readonly target:
    | { readonly url: URL }
    | { command: string; args: string[]; env: Record<string, string>; cwd?: string }
  /** For messages and logs. */
  readonly label: string
  readonly prefix: string | undefined
  readonly credentials: ProxyCredentials | undefined
  readonly rule: AccessRule | undefined
  /** Pattern → what it adds to `rule`. */
  readonly rulesByName: readonly (readonly [string, AccessRule])[]
  readonly tools: Required<Pick<ProxiedTools, 'include' | 'exclude' | 'rename'>> | undefined
  readonly resources: boolean
  readonly prompts: boolean
  readonly timeoutMs: number
  readonly maxResultBytes: number
}

const proxyKeys: Readonly<Record<KeysOf<ProxyOptions>, true>> = {
  url: true,
  command: true,
  args: true,
  env: true,
  cwd: true,
  prefix: true,
  auth: true,
  credentials: true,
  tools: true,
  resources: true,
  prompts: true,
  timeoutMs: true,
  maxResultBytes: true,
}
const toolsKeys: Readonly<Record<keyof ProxiedTools, true>> = {
  include: true,
  exclude: true,
  rename: true,
  auth: true,
}

/** The keys of each of several types. */
type KeysOf<T> = T extends unknown ? keyof T : never

/**
 * Checks the options of a proxy.
 *
 * @param hasSignIn whether somebody vouches for callers
 * @throws {ConfigurationError} when they cannot work, or would lend credentials to everybody
 */
export function proxySettings(options: ProxyOptions, hasSignIn: boolean): ProxySettings {
  checkKeys(options, proxyKeys, 'server.proxy')
  if (options.tools) checkKeys(options.tools, toolsKeys, 'tools of server.proxy')
  const { prefix, tools = {}, timeoutMs = 60_000, maxResultBytes = 1_048_576 } = options
  if (prefix !== undefined) checkPrefix(prefix, 'server.proxy')
  const target = targetOf(options)
  const label = prefix ?? ('url' in target ? target.url.host : target.command)
  const where = `server.proxy of "${label}"`
  for (const [name, value] of Object.entries({ timeoutMs, maxResultBytes })) {
    if (!Number.isSafeInteger(value) || value <= 0) {
      throw new ConfigurationError(`${name} of ${where} must be a whole number, 1 or more.`)
    }
  }
  const credentials = options.url === undefined ? undefined : options.credentials
  checkCredentials(credentials, where)
  const needs =
    credentials && 'provider' in credentials
      ? { [credentials.provider]: credentials.scopes ?? [] }
      : undefined
  const declared = options.auth || needs ? accessRule({ ...options.auth, ...needs }, where) : undefined
  if (credentials && !declared && hasSignIn) {
    throw new ConfigurationError(
      `${where} would lend its credentials to everybody: give it auth, such as {} for who is signed in, or { anonymous: true }.`,
    )
  }
  const byName = tools === false ? {} : (tools.auth ?? {})
  return {
    target,
    label,
    prefix,
    credentials,
    rule: declared,
    rulesByName: Object.entries(byName).map(([name, auth]) => [
      name,
      accessRule(auth ?? {}, `${where} for "${name}"`),
    ]),
    tools: tools === false ? undefined : { include: ['*'], exclude: [], rename: {}, ...definedIn(tools) },
    resources: options.resources ?? true,
    prompts: options.prompts ?? true,
    timeoutMs,
    maxResultBytes,
  }
}

/** What a tool of the remote server asks of its caller. */
export const ruleFor = ({ rule, rulesByName }: ProxySettings, fits: (pattern: string) => boolean) =>
  rulesByName.reduce((all, [pattern, own]) => (fits(pattern) ? mergeRules(all, own) : all), rule)

function definedIn({ include, exclude, rename }: ProxiedTools) {
  return { ...(include && { include }), ...(exclude && { exclude }), ...(rename && { rename }) }
}

function targetOf(options: ProxyOptions): ProxySettings['target'] {
  if (options.url === undefined) {
    const { command, args = [], env = {}, cwd } = options
    if (typeof command !== 'string' || command === '') {
      throw new ConfigurationError('server.proxy needs a url, or a command that starts a server.')
    }
    if ('credentials' in options) {
      throw new ConfigurationError(
        `server.proxy of "${command}" cannot have credentials: a command gets what it needs by env.`,
      )
    }
    return { command, args: [...args], env: { ...env }, ...(cwd !== undefined && { cwd }) }
  }
  return { url: checkedUrl(options.url, 'server.proxy') }
}

/** @throws {ConfigurationError} when what is sent there could be read by others, or is part of the URL itself */
function checkedUrl(value: string | URL, where: string): URL {
  const url = URL.parse(String(value))
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
  if (!url || !isSafe || url.username !== '' || url.password !== '' || url.hash !== '') {
    throw new ConfigurationError(
      `The URL of ${where} must be https, or http of this machine, without a user and without "#".`,
    )
  }
  return url
}

function checkCredentials(credentials: ProxyCredentials | undefined, where: string): void {
  if (credentials === undefined || typeof credentials === 'function') return
  const isText = (value: unknown) => typeof value === 'string' && value !== ''
  if ('tokenUrl' in credentials) {
    checkedUrl(credentials.tokenUrl, `the token endpoint of ${where}`)
    if (isText(credentials.clientId) && isText(credentials.clientSecret)) return
  } else if ('bearer' in credentials) {
    if (isText(credentials.bearer)) return
  } else if ('provider' in credentials) {
    if (isText(credentials.provider)) return
  } else if (typeof credentials.headers === 'object' && credentials.headers !== null) return
  throw new ConfigurationError(
    `credentials of ${where} must be { bearer }, { headers }, { provider }, { clientId, clientSecret, tokenUrl } or a function.`,
  )
}
