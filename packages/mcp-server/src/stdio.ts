import type { Server } from './server.ts'

/**
 * Serves the tools of a server over stdin and stdout, for a client that starts it as a process of its own. The user is
 * the one of `SALLYPORT_TOKEN`, or signs in through the browser of this machine with the link that a protected tool
 * answers with. Logs go to stderr.
 *
 * @throws {ConfigurationError} when a setting cannot work
 */
export const serveStdio = (server: Pick<Server, 'start'>): Promise<void> =>
  server.start({ transport: 'stdio', throwOnError: true })
