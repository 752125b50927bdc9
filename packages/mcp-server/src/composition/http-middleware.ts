import { ConfigurationError } from '@sallyport/oauth'
import type { Handler, MiddlewareHandler } from 'hono'
import { every } from 'hono/combine'
import { TrieRouter } from 'hono/router/trie-router'
import { limitBody } from '../body-limit.ts'
import type { RequestEnvironment } from '../request-environment.ts'

/** Middleware of Hono, as `server.use(path, …)` takes it. */
export type HttpMiddleware =
  | MiddlewareHandler<{ Bindings: RequestEnvironment }>
  | Handler<{ Bindings: RequestEnvironment }>

/** Middleware around HTTP requests, those to the server's own endpoints too. */
export interface HttpLayers {
  /**
   * @param path pattern of Hono, such as `/mcp` or `/*`
   * @throws {ConfigurationError} when it is no middleware, or the server has started
   */
  add(path: string, handlers: readonly unknown[]): void
  /** Whether there is any for a request. */
  concerns(method: string, path: string): boolean
  /** Runs all that are for a request, in the order in which they were added. */
  run(maxBodyBytes: number): MiddlewareHandler<{ Bindings: RequestEnvironment }>
  /** Nothing can be added from now on. */
  freeze(): void
}

/** Creates an empty list. */
export function createHttpLayers(): HttpLayers {
  const router = new TrieRouter<HttpMiddleware>()
  let isEmpty = true
  let frozen = false
  const fitting = (method: string, path: string): HttpMiddleware[] =>
    isEmpty ? [] : router.match(method, path)[0].map(([handler]) => handler)

  return {
    add(path, handlers) {
      if (frozen)
        throw new ConfigurationError(`server.use('${path}', …) comes too late: use it before start().`)
      if (!path.startsWith('/')) {
        throw new ConfigurationError(
          `server.use('${path}', …) needs a path that begins with "/", such as /*.`,
        )
      }
      if (handlers.length === 0 || !handlers.every(handler => typeof handler === 'function')) {
        throw new ConfigurationError(`server.use('${path}', …) needs middleware of Hono after the path.`)
      }
      for (const handler of handlers) router.add('ALL', path, handler as HttpMiddleware)
      isEmpty = false
    },
    concerns: (method, path) => fitting(method, path).length > 0,
    run: maxBodyBytes => async (c, next) => {
      const handlers = fitting(c.req.method, c.req.path)
      if (handlers.length === 0) return next()
      // Middleware may read the body in any way it likes: it is within its limit, and read again behind it.
      const limited = await limitBody(c.req.raw, maxBodyBytes)
      if (limited instanceof Response) return limited
      c.req.raw = limited
      return every(...(handlers as MiddlewareHandler[]))(c, async () => {
        if (c.req.raw.bodyUsed) {
          const { url, method, headers, signal } = c.req.raw
          c.req.raw = new Request(url, { method, headers, signal, body: await c.req.arrayBuffer() })
        }
        await next()
      })
    },
    freeze() {
      frozen = true
    },
  }
}
