import type { Endpoint } from './context.ts'
import type { SourceLimit } from './limits/limits.ts'

/** One endpoint at one path. */
export interface Route {
  method: 'GET' | 'POST'
  /** Path below the origin. One that ends in `/:id` matches any one segment there; all others match exactly. */
  path: string
  handler: Endpoint
  /**
   * `open`: pages of any origin may call it, without credentials (R94). `none`: only the browser itself goes
   * there, by navigation (R52), and errors are pages. `closed`: only servers call it.
   */
  cors: 'open' | 'none' | 'closed'
  /** What one source may do here; absent: as much as it likes. */
  limit?: SourceLimit
  /** A document that a GET only reads, so that HEAD may ask for its headers; other GETs take a step of a sign-in. */
  readOnly?: true
}

/** Whether a path is that of a route: byte for byte, but for the one segment of `/:id`. */
export function matchesPath(pattern: string, path: string): boolean {
  if (!pattern.endsWith('/:id')) return pattern === path
  const prefix = pattern.slice(0, -':id'.length)
  return path.startsWith(prefix) && path.length > prefix.length && !path.includes('/', prefix.length)
}
