/** An absolute URI with an authority and without fragment (RFC 8707 §2): scheme and authority, then the rest. */
const indicatorPattern = /^([A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#\s\\]+)([^#\s\\]*)$/

/**
 * The configured resource that a `resource` parameter names, byte for byte as configured; undefined when it names
 * none (R54). Scheme and host compare without case, the rest exactly, except that no path at all is the path `/`
 * (RFC 3986 §6.2.3): clients send what a URL parser makes of the identifier.
 */
export function findResource(known: readonly string[], presented: string): string | undefined {
  const wanted = comparable(presented)
  return wanted === undefined ? undefined : known.find(resource => comparable(resource) === wanted)
}

/** The one of these resources that is presented, however often; undefined when that is none of them, or several. */
export function findOneResource(known: readonly string[], presented: readonly string[]): string | undefined {
  const found = new Set(presented.map(resource => findResource(known, resource)))
  const [resource] = found
  return found.size === 1 ? resource : undefined
}

function comparable(uri: string): string | undefined {
  const match = indicatorPattern.exec(uri)
  if (!match) return undefined
  const [, origin, rest] = match
  return origin!.toLowerCase() + (rest!.startsWith('/') ? rest : `/${rest}`)
}
