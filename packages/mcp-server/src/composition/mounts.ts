import { ConfigurationError } from '@sallyport/oauth'
import type { ServerOptions } from '../server.ts'
import type { Mount, ServerParts } from '../server-parts.ts'
import { isProvider } from '../sign-in.ts'
import { checkPrefix, prefixUri } from './prefix.ts'

/**
 * Mounts a server on another: what it offers by the time the other starts, and what it tells of changes.
 *
 * @throws {ConfigurationError} when the prefix cannot be one, it is no server, or would be mounted on itself
 */
export function mountServer(on: ServerParts, prefix: unknown, parts: ServerParts | undefined): void {
  checkPrefix(prefix, 'server.mount')
  if (!parts) throw new ConfigurationError('server.mount takes a prefix and a server that createServer made.')
  if (contains(parts, on)) throw new ConfigurationError('A server cannot be mounted on itself.')
  on.registry.mount(prefix, parts.registry)
  on.mounts.push({ prefix, parts })
  parts.changes.subscribe(event =>
    on.changes.publish(
      event.kind === 'resource_updated' ? { ...event, uri: prefixUri(prefix, event.uri) } : event,
    ),
  )
}

/** By the registry: another server made of the same parts is the same server. */
const contains = (outer: ServerParts, inner: ServerParts): boolean =>
  outer.registry === inner.registry || outer.mounts.some(({ parts }) => contains(parts, inner))

/** What a server and those mounted on it say about scopes. */
type Merged = Pick<
  ServerOptions,
  'scopes' | 'scopeHierarchy' | 'scopeLifetimes' | 'sensitiveScopes' | 'providers'
>

const maps = ['scopes', 'scopeHierarchy', 'scopeLifetimes'] as const

/**
 * The options of a server with what those mounted on it need: their providers, unless the server has one of the same
 * id, and what they say about scopes.
 *
 * @throws {ConfigurationError} when they contradict each other about a scope
 */
export function withMounted(options: ServerOptions, mounts: readonly Mount[]): ServerOptions {
  if (mounts.length === 0) return options
  const merged: { -readonly [Key in keyof Merged]: Merged[Key] } = {}
  const providers = [...(options.providers ?? [])]
  const sensitiveScopes = new Set(options.sensitiveScopes)
  const ids = new Set([options.signIn, ...providers].flatMap(one => one?.id ?? []))
  for (const { prefix, parts } of mounts) {
    const own = withMounted(parts.options, parts.mounts)
    for (const provider of [...(isProvider(own.signIn) ? [own.signIn] : []), ...(own.providers ?? [])]) {
      if (ids.has(provider.id)) continue
      ids.add(provider.id)
      providers.push(provider)
    }
    for (const scope of own.sensitiveScopes ?? []) sensitiveScopes.add(scope)
    for (const map of maps) {
      const here: Readonly<Record<string, unknown>> = merged[map] ?? options[map] ?? {}
      for (const [scope, said] of Object.entries(own[map] ?? {})) {
        if (Object.hasOwn(here, scope) && JSON.stringify(here[scope]) !== JSON.stringify(said)) {
          throw new ConfigurationError(
            `${map} says ${JSON.stringify(here[scope])} of "${scope}", and the server mounted at "${prefix}" says ${JSON.stringify(said)}: make them say the same.`,
          )
        }
      }
      if (own[map]) merged[map] = { ...own[map], ...here } as never
    }
  }
  return {
    ...options,
    ...merged,
    ...(providers.length > 0 && { providers }),
    ...(sensitiveScopes.size > 0 && { sensitiveScopes: [...sensitiveScopes] }),
  }
}
