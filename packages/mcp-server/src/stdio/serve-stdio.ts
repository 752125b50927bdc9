import { ConfigurationError, systemClock, systemRandom } from '@sallyport/oauth'
import { checkViews } from '../apps/check-views.ts'
import type { ServerAssembly, ServerCore } from '../assembly/server-assembly.ts'
import type { RequestEnvironment } from '../request-environment.ts'
import { startStdio } from './start-stdio.ts'
import { type StdioHandle, servePublicOffers } from './stdio-server.ts'

/**
 * Serves the client at the other end of stdin and stdout: everybody where nothing is protected, otherwise one user.
 *
 * @param serve answers a request of the browser in which the user signs in
 * @throws {ConfigurationError} when `SALLYPORT_TOKEN` is not good here
 */
export async function serveOverStdio(
  { options, identity, registry, lists, changes, inFlight, setup }: ServerCore,
  assembly: ServerAssembly,
  serve: (request: Request, info?: RequestEnvironment) => Promise<Response>,
): Promise<StdioHandle> {
  const { port, token } = setup.configured()
  registry.prepare()
  if (token === undefined && registry.offers().every(offer => !offer.rule)) {
    checkViews(registry)
    assembly.freeze()
    await assembly.openSources()
    return servePublicOffers({
      identity,
      registry,
      lists,
      changes,
      exposeErrors: options.exposeErrors ?? false,
      timing: options.questionTiming ?? {},
      emit: setup.emitter(),
      log: setup.logger(),
      clock: options.clock ?? systemClock,
      random: options.random ?? systemRandom,
      inFlight,
    })
  }
  const assembled = await assembly.build(port)
  const { voucher } = assembled
  if (!voucher) {
    throw new ConfigurationError(
      'SALLYPORT_TOKEN has no effect on a server without signIn and issuer: remove it.',
    )
  }
  await assembly.served()
  return startStdio({
    ...voucher,
    verifier: voucher,
    identity,
    registry,
    lists,
    config: setup.configured(),
    services: assembled.services,
    tasks: assembled.tasks,
    asking: assembled.asking,
    changes: assembled.changes,
    resource: assembled.url,
    publicUrl: setup.publicUrlAt(port),
    defaultScopes: voucher.scopes,
    clientId: options.stdioClientId,
    serve: (request, info) => inFlight.track(serve(request, info)),
    log: setup.logger(),
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  })
}
