import type { Served } from '../create-mcp-app.ts'
import type { Vouching } from './create-vouching.ts'
import type { Premises } from './ingredients.ts'

/** What the server answers as an authorization server, and as the resource that names one. */
export function oauthRoutes(
  { resource, serverName }: Premises,
  { voucher, signIn }: Vouching,
): Pick<Served, 'oauth'> {
  if (!voucher) return {}
  const { issuer, dpop, scopes } = voucher
  return {
    oauth: {
      handle: signIn?.server.handle ?? (async () => undefined),
      metadata: {
        resource,
        authorization_servers: [issuer],
        ...(scopes.length > 0 && { scopes_supported: scopes }),
        bearer_methods_supported: ['header'],
        resource_name: serverName,
        ...(dpop && { dpop_signing_alg_values_supported: dpop.algorithms }),
      },
    },
  }
}
