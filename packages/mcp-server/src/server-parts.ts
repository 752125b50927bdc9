import type { ServerEventBus } from '@modelcontextprotocol/server'
import type { HttpLayers } from './composition/http-middleware.ts'
import type { Registry } from './registry.ts'
import type { ServerOptions } from './server.ts'

/** What a server was made of, so that another can be made of the same. */
export interface ServerParts {
  readonly options: ServerOptions
  readonly registry: Registry
  /** What tells clients that something they have seen has changed. */
  readonly changes: ServerEventBus
  /** Middleware around HTTP requests. */
  readonly http: HttpLayers
  /** Servers mounted on it. */
  readonly mounts: Mount[]
}

/** A server mounted on another. */
export interface Mount {
  readonly prefix: string
  readonly parts: ServerParts
}

const partsOfServers = new WeakMap<object, ServerParts>()

/** Keeps what a server is made of, for as long as there is the server. */
export function rememberParts(server: object, parts: ServerParts): void {
  partsOfServers.set(server, parts)
}

/** What a server was made of; undefined for what `createServer` did not make. */
export const partsOf = (server: object): ServerParts | undefined => partsOfServers.get(server)
