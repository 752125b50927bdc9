import type { createServer } from '../create-server.ts'

/**
 * The package `@sallyport/mcp-server` as a test puts it in the place of the real one: servers are created as ever, and
 * `start` does nothing. For programs that start the server in the file that declares it.
 */
export function withoutStart<Module extends { createServer: typeof createServer }>(module: Module): Module {
  const create: typeof createServer = options =>
    Object.assign(module.createServer(options), { start: async () => {} })
  return { ...module, createServer: create }
}
