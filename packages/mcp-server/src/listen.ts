import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener, type HttpBindings } from '@hono/node-server'
import { ConfigurationError } from '@sallyport/oauth'
import type { DirectCalls } from './direct-calls.ts'

/** A listening server. */
export interface Listener {
  readonly port: number
  /** Takes no more connections, and closes those that are idle. */
  stopAccepting(): void
  /** Resolves when all connections have ended; after `graceMs` it ends them. */
  close(graceMs: number): Promise<void>
}

/** What a slow or silent peer may take (R196), in milliseconds. */
const defaultTimeouts = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  // Longer than the 60 s for which load balancers keep idle connections: what they send while we close one is lost.
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 5_000,
}

/**
 * Listens for HTTP requests.
 *
 * @param handle answers a request; `remoteAddress` is the peer's, no header is believed (R197)
 * @param address.host undefined: all interfaces
 * @param direct takes requests before they become a `Request`. Default: none
 * @param timeouts how long a peer may take for headers, for a request, and between two, and how often that is looked at
 * @throws {ConfigurationError} when the port or address cannot be used
 */
export async function listen(
  handle: (request: Request, info: { remoteAddress?: string }) => Promise<Response>,
  address: { port: number; host: string | undefined },
  direct: DirectCalls = () => false,
  timeouts: typeof defaultTimeouts = defaultTimeouts,
): Promise<Listener> {
  /** Answers that were found on the short way and are sent on the long one. */
  const found = new WeakMap<IncomingMessage, Promise<Response>>()
  // The globals of the process are not ours to replace.
  const listener = getRequestListener(
    (request, env) => {
      const { incoming } = env as HttpBindings
      const response = found.get(incoming)
      if (response) return response
      const { remoteAddress } = incoming.socket
      return handle(request, remoteAddress === undefined ? {} : { remoteAddress })
    },
    { overrideGlobalObjects: false },
  )
  let closed: Promise<void> | undefined
  const server = createServer({ ...timeouts, maxHeaderSize: 16_384 }, (incoming, outgoing) => {
    outgoing.on('close', () => {
      if (closed) setImmediate(() => server.closeIdleConnections())
    })
    const respond = (response: Promise<Response>) => {
      found.set(incoming, response)
      void listener(incoming, outgoing)
    }
    if (!direct(incoming, outgoing, respond)) void listener(incoming, outgoing)
  })
  await bind(server, address)
  const stopAccepting = () => {
    closed ??= new Promise(resolve => {
      server.close(() => resolve())
      server.closeIdleConnections()
    })
    return closed
  }
  return {
    port: (server.address() as AddressInfo).port,
    stopAccepting: () => void stopAccepting(),
    async close(graceMs) {
      const timer = setTimeout(() => server.closeAllConnections(), graceMs)
      await stopAccepting()
      clearTimeout(timer)
    },
  }
}

async function bind(
  server: Server,
  { port, host }: { port: number; host: string | undefined },
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(bindError(error, port, host)))
    server.listen({ port, ...(host !== undefined && { host }) }, resolve)
  })
}

function bindError(error: NodeJS.ErrnoException, port: number, host: string | undefined): Error {
  switch (error.code) {
    case 'EADDRINUSE':
      return new ConfigurationError(
        `Port ${port} is in use: set PORT to another one, or stop the program that uses it.`,
        { cause: error },
      )
    case 'EACCES':
      return new ConfigurationError(`Port ${port} is reserved: set PORT to one above 1023.`, { cause: error })
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ConfigurationError(
        `HOST ${host} is not an address of this machine: set it to one that is.`,
        {
          cause: error,
        },
      )
    default:
      return error
  }
}
