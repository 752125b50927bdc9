import type { ServerAssembly, ServerCore } from './assembly/server-assembly.ts'
import { banner } from './banner.ts'
import type { Served } from './create-mcp-app.ts'
import { createDirectCalls } from './direct-calls.ts'
import { failureResponse } from './failure-response.ts'
import { type Listener, listen } from './listen.ts'
import { guardProcess } from './process-guard.ts'
import type { RequestEnvironment } from './request-environment.ts'
import type { StartOptions } from './server.ts'
import { isDevelopmentSignIn } from './sign-in.ts'

/** A server's own listener, from its start to its end. */
export interface HttpServing {
  start(options: StartOptions): Promise<void>
  /** Leaves signals alone, and takes no more connections. */
  stopAccepting(): void
  /** Resolves when all connections have ended; after `graceMs` it ends them. */
  close(graceMs: number): Promise<void>
}

/**
 * @param serve answers a request
 * @param closeServer ends the whole server: after a signal, and when it cannot start
 */
export function createHttpServing(
  { options, http, inFlight, setup }: ServerCore,
  assembly: ServerAssembly,
  serve: (request: Request, info?: RequestEnvironment) => Promise<Response>,
  closeServer: () => Promise<void>,
): HttpServing {
  let listener: Listener | undefined
  let release: (() => void) | undefined

  return {
    async start({ silent = false, handleSignals = true }) {
      const { port, host, directory, sessionProvider, production, publicUrl } = setup.configured()
      const log = setup.logger()
      if (production && publicUrl === undefined) {
        log.warn(
          'PUBLIC_URL is not set, so this machine alone reaches the server: set it to the address clients use',
        )
      }
      assembly.check()
      // Bound first: with port 0 the issuer is known only then, and a second start must not touch the store.
      // Requests that arrive before the parts are joined wait for them.
      let serving: Served | undefined
      let open = () => {}
      let fail = (_: unknown) => {}
      const joined = new Promise<void>((resolve, reject) => {
        open = resolve
        fail = reject
      })
      joined.catch(() => {})
      listener = await listen(
        async (request, info) => {
          await joined
          return inFlight.track(serve(request, info))
        },
        { port, host },
        createDirectCalls(
          // HTTP middleware is the app's: what it stands around takes the long way.
          () => (serving && !http.concerns('POST', '/mcp') ? serving : undefined),
          inFlight,
          status => log.debug({ method: 'POST', path: '/mcp', status }, 'request'),
          error => failureResponse(error, log),
        ),
      )
      try {
        const parts = await assembly.build(listener.port)
        serving = await assembly.served()
        open()
        release = guardProcess({ log, close: handleSignals ? closeServer : undefined })
        if (!silent) {
          process.stdout.write(
            `${banner({
              name: options.name,
              url: parts.url,
              dataFolder:
                options.signIn && !options.store && sessionProvider === 'file' ? directory : undefined,
              developmentSignIn: isDevelopmentSignIn(options.signIn),
            })}\n`,
          )
        }
        log.info({ url: parts.url }, 'listening')
      } catch (error) {
        fail(error)
        await closeServer()
        throw error
      }
    },
    stopAccepting() {
      release?.()
      listener?.stopAccepting()
    },
    async close(graceMs) {
      await listener?.close(graceMs)
    },
  }
}
