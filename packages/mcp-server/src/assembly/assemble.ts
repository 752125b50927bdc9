import type { Admin } from '@sallyport/oauth'
import type { GuardedChanges } from '../calls/changes.ts'
import type { CallServices } from '../calls/perform.ts'
import { createClientAddress } from '../client-address.ts'
import type { Served } from '../create-mcp-app.ts'
import type { ConnectionAsking } from '../elicit/connection-asking.ts'
import { defaultTiming, type Waiting } from '../elicit/exchange.ts'
import { createHostCheck } from '../host-check.ts'
import { checkIssuerOptions } from '../issuer-options.ts'
import { createHasScopes } from '../scope-hierarchy.ts'
import { checkDevelopmentSignIn, definedOf } from '../sign-in.ts'
import type { Tasks } from '../tasks/tasks.ts'
import { createCalls } from './create-calls.ts'
import { createEndpoint } from './create-endpoint.ts'
import { createVouching, type Voucher, type Vouching } from './create-vouching.ts'
import type { Ingredients, Premises } from './ingredients.ts'
import { oauthRoutes } from './oauth-routes.ts'
import { openKept } from './open-kept.ts'

/** A server whose parts are made and joined. */
export interface Assembled {
  served: Served
  /** The MCP endpoint as clients know it. */
  url: string
  /** What calls share, whichever way they come. */
  services: CallServices
  /** Calls that go on after they were answered. */
  tasks: Tasks
  /** How calls ask a client whose connection stays. */
  asking: ConnectionAsking
  /** Changes as they reach those who may hear of them. */
  changes: GuardedChanges
  /** Who vouches for callers; undefined where nobody does. */
  voucher: Voucher | undefined
  /** Undefined on a server without sign-in. */
  admin: Admin | undefined
  /** Makes ready what the first request would wait for. */
  start(): Promise<void>
  /** Ends subscriptions, the authorization server, and the store if it was made here. */
  close(): Promise<void>
}

/**
 * Composition root: every part is made here and handed over by name. Issuer and resource derive from the public
 * URL and from nothing else (R2, R3).
 *
 * @param port where the server listens
 * @throws {ConfigurationError} when something is missing or cannot work
 * @throws {StoreUnavailableError} when the store does not answer
 */
export async function assemble(
  ingredients: Ingredients,
  publicUrl: string,
  port: number,
): Promise<Assembled> {
  const premises = premisesOf(ingredients, publicUrl)
  const stop = new AbortController()
  const waiting: Waiting = {
    timing: { ...defaultTiming, ...ingredients.timing },
    stopping: stop.signal,
  }
  const kept = await openKept(ingredients)
  let vouching: Vouching
  try {
    vouching = createVouching(ingredients, premises, kept)
  } catch (error) {
    void kept.close()
    throw error
  }
  const { voucher, signIn } = vouching
  const calls = createCalls(ingredients, premises, kept, vouching, waiting)
  const { services, tasks, changes } = calls
  const { mcp, asking } = createEndpoint(ingredients, kept, vouching, calls, waiting, () => stop.abort())
  const unwatch = kept.store.watchRevocations({
    onRevoked({ grantId }) {
      changes.endGrant(grantId)
      mcp.endGrant(grantId)
      tasks.endGrant(grantId)
    },
    onSynced: () => {},
  })
  const { config, allowedHosts, allowedOrigins, maxBodyBytes, log } = ingredients
  const { trustedProxies } = config
  return {
    url: premises.resource,
    services,
    tasks,
    asking,
    changes,
    voucher,
    admin: signIn?.server.admin,
    served: {
      hostCheck: createHostCheck({ publicUrl, port, allowedHosts, allowedOrigins }),
      mcp,
      ...oauthRoutes(premises, vouching),
      checkHealth: async () => kept.users?.check(),
      clientAddress: createClientAddress({ trustedProxies, publicUrl, warn: message => log.warn(message) }),
      https: publicUrl.startsWith('https:'),
      maxBodyBytes,
    },
    start: vouching.start,
    async close() {
      await mcp.close()
      await tasks.close()
      unwatch()
      await calls.shared.close()
      await vouching.close()
      await kept.close()
    },
  }
}

/** @throws {ConfigurationError} when scopes or sign-in cannot be as configured, or not at this address */
function premisesOf(
  { identity, config, issuer, signIn, settings }: Ingredients,
  publicUrl: string,
): Premises {
  const hasScopes = createHasScopes(definedOf(settings.scopeHierarchy))
  if (issuer !== undefined) checkIssuerOptions(issuer, { settings, signIn, publicUrl })
  checkDevelopmentSignIn(signIn, config, publicUrl)
  return {
    publicUrl,
    resource: `${publicUrl}/mcp`,
    serverName: identity.info.title ?? identity.info.name,
    hasScopes,
  }
}
