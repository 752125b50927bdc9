import type { Redis } from 'ioredis'
import type { RedisConnection } from './redis-connection.ts'

/** Some of the keys that match a pattern, and where to go on; undefined after the last. */
export interface KeyPage {
  found: string[]
  cursor: string | undefined
}

/**
 * One page of keys, server after server: a key that is there during the whole walk is found at least once. `count` is
 * about how many keys, matching or not, one page looks at.
 */
export async function scanKeys(
  client: RedisConnection['client'],
  pattern: string,
  cursor: string | undefined,
  count: number,
): Promise<KeyPage> {
  const servers = 'nodes' in client ? client.nodes('master') : [client]
  const names = new Map(servers.map(server => [nameOf(server), server]))
  const order = [...names.keys()].sort()
  const [name = '', position = '0'] = cursor?.split(' ') ?? []
  // A server that left the cluster has given its keys to others: then from the beginning.
  const current = names.has(name) ? name : order[0]
  if (current === undefined) throw new Error('no server is known')
  const [next, found] = await names
    .get(current)!
    .scan(names.has(name) ? position : '0', 'MATCH', pattern, 'COUNT', count)
  if (next !== '0') return { found, cursor: `${current} ${next}` }
  const following = order[order.indexOf(current) + 1]
  return { found, cursor: following && `${following} 0` }
}

function nameOf({ options }: Redis): string {
  return `${options.host}:${options.port}`
}
