import { ConfigurationError } from '../errors.ts'

export interface RedisNode {
  host: string
  port: number
}

/** Where Redis is, read off its URL. */
export interface RedisTarget {
  kind: 'standalone' | 'sentinel' | 'cluster'
  tls: boolean
  /** Servers, sentinels or cluster nodes to begin with. */
  nodes: readonly RedisNode[]
  username?: string
  password?: string
  /** Database number; 0 in a cluster. */
  db: number
  /** Name of the master, as the sentinels know it. */
  masterName?: string
}

const forms =
  'use redis://host:6379, rediss:// for TLS, redis+sentinel://host1,host2/master-name, or redis://host1,host2 for a cluster'

/**
 * Reads a Redis URL: `redis://[user:password@]host[:port][/db]`, `rediss://` with TLS,
 * `redis+sentinel://host1,host2/name[/db]`, a comma list of hosts or `redis+cluster://host` for a cluster. User and
 * password are percent-encoded.
 *
 * @throws {ConfigurationError} when it is none of these; the message never shows the URL, which may hold a password
 */
export function parseRedisUrl(url: string): RedisTarget {
  const [, tls, mode, authority, path] =
    /^redis(s?)(?:\+(sentinel|cluster))?:\/\/([^/?#]+)(?:\/([^?#]*))?$/.exec(
      // A list in which every host carries the scheme.
      url.replace(/,redis(s?)(\+cluster)?:\/\//g, ','),
    ) ?? []
  if (authority === undefined) refuse('is not the address of a Redis')
  const at = authority.lastIndexOf('@')
  const nodes = authority
    .slice(at + 1)
    .split(',')
    .map(node => parseNode(node, mode === 'sentinel' ? 26_379 : 6_379))
  const kind =
    mode === 'sentinel' ? 'sentinel' : mode === 'cluster' || nodes.length > 1 ? 'cluster' : 'standalone'
  const segments = (path ?? '').split('/').filter(Boolean)
  const masterName = kind === 'sentinel' ? decode(segments.shift() ?? '') : undefined
  if (masterName === '') refuse('names no master after the sentinels')
  const db = segments.shift() ?? '0'
  if (segments.length > 0 || !/^\d{1,4}$/.test(db)) refuse('has a path that is not the number of a database')
  if (kind === 'cluster' && db !== '0') refuse('names a database, but a cluster has only database 0')
  return {
    kind,
    tls: tls === 's',
    nodes,
    db: Number(db),
    ...(masterName !== undefined && { masterName }),
    ...parseCredentials(at < 0 ? '' : authority.slice(0, at)),
  }
}

function parseNode(node: string, defaultPort: number): RedisNode {
  const [, host, port] = /^([\w.-]+|\[[\da-fA-F:.]+\])(?::(\d{1,5}))?$/.exec(node) ?? []
  const number = port === undefined ? defaultPort : Number(port)
  if (!host || number < 1 || number > 65_535) refuse('has a host or a port that cannot be one')
  return { host: host.replace(/^\[|\]$/g, ''), port: number }
}

function parseCredentials(text: string): { username?: string; password?: string } {
  if (text === '') return {}
  const colon = text.indexOf(':')
  // Redis had passwords before it had users: a name alone is nobody's.
  if (colon < 0) refuse('has a user without a password')
  const username = decode(text.slice(0, colon))
  return { ...(username !== '' && { username }), password: decode(text.slice(colon + 1)) }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return refuse('has a part that is not percent-encoded as it must be')
  }
}

function refuse(what: string): never {
  throw new ConfigurationError(`SESSION_REDIS_URL ${what}: ${forms}.`)
}
