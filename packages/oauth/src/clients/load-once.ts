/** How many loads may be under way. */
export interface LoadCaps {
  all: number
  perHost: number
}

/**
 * Loads what is behind a URL: once for all who ask while it is under way, and few at a time, so that strangers who
 * name URLs neither tie this server up nor have it flood a host (R32).
 *
 * @param caps default: eight, two of them at one host
 * @throws {Error} what `load` throws, and when too many are under way
 */
export function createLoadOnce<Value>(
  load: (url: string) => Promise<Value>,
  caps: LoadCaps = { all: 8, perHost: 2 },
): (url: string) => Promise<Value> {
  const underWay = new Map<string, Promise<Value>>()
  return url => {
    const same = underWay.get(url)
    if (same) return same
    const { hostname } = new URL(url)
    const sameHost = [...underWay.keys()].filter(other => new URL(other).hostname === hostname)
    if (underWay.size >= caps.all || sameHost.length >= caps.perHost) {
      return Promise.reject(new Error('too many fetches'))
    }
    const loading = load(url).finally(() => underWay.delete(url))
    underWay.set(url, loading)
    return loading
  }
}
