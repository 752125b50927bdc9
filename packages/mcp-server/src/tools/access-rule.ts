import { ConfigurationError } from '@sallyport/oauth'

/**
 * Judges one caller and what they ask for. `caller` is what a handler with the same `auth` gets; `input` is what passed
 * the schema (of a resource the variables of its template), and undefined while a list asks whether to show a hidden
 * offer.
 */
// biome-ignore lint/suspicious/noExplicitAny: each offer has its own caller and input, which the developer names
export type Allow = (caller: any, input: any) => boolean | Promise<boolean>

interface AuthBase<Scope extends string = string> {
  /** Scopes the caller's token must carry, all of them. Default: any signed-in user may call. */
  readonly scopes?: readonly Scope[]
  /** Accepts callers who are not signed in too; `caller` is then undefined. Default false. */
  readonly anonymous?: boolean
  /**
   * Accepts clients that call for themselves too (`client_credentials`); `caller.principal` tells them from users.
   * Not for tools that name a provider: a client has no account there. Default false.
   */
  readonly clients?: boolean
  /**
   * How long ago the caller may have authenticated, in seconds. Older sign-ins get a 401 that says so (RFC 9470). Needs
   * a sign-in that tells when, such as `oidc()`. Default: any time.
   */
  readonly maxAgeSeconds?: number
  /**
   * Lets callers through that scopes cannot tell apart, such as members of a project. Asked before each call, once its
   * arguments are known to be valid. Write the types of its parameters, or the compiler forgets the rest of `auth`.
   * Default: everybody the rest of `auth` lets through.
   */
  readonly allow?: Allow
  /**
   * Does not exist for callers who may not use it: not in lists, not found by its name, no challenge to get more
   * scopes. For roles. Default false: it is listed, so that clients can ask the user for what is missing.
   */
  readonly hidden?: boolean
}

/** What a tool asks of its caller when nothing is known about the server's providers. */
export interface AnyAuth extends AuthBase {
  readonly [providerId: string]: readonly string[] | boolean | number | Allow | undefined
}

/**
 * What a tool asks of its caller: our scopes, and per provider id the provider scopes it needs, such as
 * `{ scopes: ['notes:write'], google: ['https://www.googleapis.com/auth/calendar.readonly'] }`.
 * `{}` = any signed-in user.
 */
export type Auth<
  ProviderId extends string = string,
  Scope extends string = string,
> = string extends ProviderId
  ? AnyAuth
  : object & AuthBase<Scope> & { readonly [Id in ProviderId]?: readonly string[] }

/** Keys of `auth` that are not provider ids. */
export type AuthKeyword = keyof AuthBase

/** The same as values. */
export const authKeywords: readonly string[] = [
  'scopes',
  'anonymous',
  'clients',
  'maxAgeSeconds',
  'allow',
  'hidden',
] satisfies AuthKeyword[]

/** `auth`, checked and with everything filled in. */
export interface AccessRule {
  readonly scopes: readonly string[]
  readonly anonymous: boolean
  readonly clients: boolean
  /** Undefined: any time. */
  readonly maxAgeSeconds?: number
  /** All of them must say yes. Undefined: nobody is asked. */
  readonly allow?: readonly Allow[]
  readonly hidden?: true
  /** Provider id → provider scopes. */
  readonly providers: ReadonlyMap<string, readonly string[]>
}

/** scope-token of RFC 6749 §3.3: nothing that could leave a quoted string of a header (R150). */
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** Each value once, in the order of their first appearance. */
const unique = (values: readonly string[]): string[] => [...new Set(values)]

function scopeList(value: unknown, where: string): string[] {
  if (!Array.isArray(value) || !value.every(scope => typeof scope === 'string' && scopeToken.test(scope))) {
    throw new ConfigurationError(`${where} must be a list of scopes without spaces, quotes or backslashes.`)
  }
  return unique(value)
}

/**
 * Checks what a tool declares.
 *
 * @param where what declares it, for the message, such as `tool "events"`
 * @throws {ConfigurationError} when a scope is not a scope-token or a value has the wrong type
 */
export function accessRule(auth: AnyAuth, where: string): AccessRule {
  if (typeof auth !== 'object' || auth === null || Array.isArray(auth)) {
    throw new ConfigurationError(
      `auth of ${where} must be an object, such as { scopes: ['notes:write'] }, or {} for whoever is signed in.`,
    )
  }
  const { scopes = [], anonymous = false, clients = false, maxAgeSeconds, allow, hidden, ...providers } = auth
  if (typeof anonymous !== 'boolean') {
    throw new ConfigurationError(`auth.anonymous of ${where} must be true or false.`)
  }
  if (typeof clients !== 'boolean') {
    throw new ConfigurationError(`auth.clients of ${where} must be true or false.`)
  }
  if (clients && Object.values(providers).some(needed => needed !== undefined)) {
    throw new ConfigurationError(
      `auth.clients of ${where} cannot be true: a client that calls for itself has no account at a provider.`,
    )
  }
  if (allow !== undefined && typeof allow !== 'function') {
    throw new ConfigurationError(`auth.allow of ${where} must be a function that says yes or no.`)
  }
  if (hidden !== undefined && typeof hidden !== 'boolean') {
    throw new ConfigurationError(`auth.hidden of ${where} must be true or false.`)
  }
  if (maxAgeSeconds !== undefined && !(Number.isSafeInteger(maxAgeSeconds) && maxAgeSeconds > 0)) {
    throw new ConfigurationError(
      `auth.maxAgeSeconds of ${where} must be a whole number of seconds, 1 or more.`,
    )
  }
  return {
    scopes: scopeList(scopes, `auth.scopes of ${where}`),
    anonymous,
    clients,
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
    ...(allow && { allow: [allow] }),
    ...(hidden && { hidden }),
    providers: new Map(
      Object.entries(providers)
        .filter(([, needed]) => needed !== undefined)
        .map(([id, needed]) => [id, scopeList(needed, `auth.${id} of ${where}`)]),
    ),
  }
}

/** Provider needs of several rules as one: each provider with every scope any of them names. */
export function mergeProviders(
  all: Iterable<ReadonlyMap<string, readonly string[]>>,
): Map<string, readonly string[]> {
  const merged = new Map<string, readonly string[]>()
  for (const providers of all) {
    for (const [id, scopes] of providers) merged.set(id, unique([...(merged.get(id) ?? []), ...scopes]))
  }
  return merged
}

/** The shortest of several ages; undefined when none is limited. */
export function shortestAge(rules: readonly Pick<AccessRule, 'maxAgeSeconds'>[]): number | undefined {
  const ages = rules.flatMap(({ maxAgeSeconds }) => maxAgeSeconds ?? [])
  return ages.length === 0 ? undefined : Math.min(...ages)
}

/** One rule as strict as both: declared twice, a protection never gets weaker. */
export function mergeRules(a: AccessRule | undefined, b: AccessRule | undefined): AccessRule | undefined {
  if (!a || !b) return a ?? b
  const maxAgeSeconds = shortestAge([a, b])
  return {
    scopes: unique([...a.scopes, ...b.scopes]),
    anonymous: a.anonymous && b.anonymous,
    clients: a.clients && b.clients,
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
    ...((a.allow || b.allow) && { allow: [...(a.allow ?? []), ...(b.allow ?? [])] }),
    ...((a.hidden || b.hidden) && { hidden: true }),
    providers: mergeProviders([a.providers, b.providers]),
  }
}
