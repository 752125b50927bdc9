import type { Server } from './server.ts'

/**
 * Serves the tools of a server over stdin and stdout, for a client that starts it as a process of its own. Tools
 * that need no signed-in user only; the others are left out. Logs go to stderr.
 *
 * @throws {ConfigurationError} when a setting cannot work
 */
export const serveStdio = (server: Pick<Server, 'start'>): Promise<void> =>
  server.start({ transport: 'stdio', throwOnError: true })
