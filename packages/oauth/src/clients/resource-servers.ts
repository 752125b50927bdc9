import { ConfigurationError } from '../errors.ts'
import { findResource } from '../protocol/resource-indicator.ts'
import { compareWithNobody, isVisible, secretComparison, secretProblem } from './hashed-secret.ts'

/** A resource server that may ask what a token is worth (RFC 7662). */
export interface ConfiguredResourceServer {
  /** Its name at the introspection endpoint. A client's id or secret is none. */
  id: string
  /** At least 16 printable ASCII characters. Kept as a hash. */
  secret: string
  /** Resources it stands for: tokens for any other are inactive to it. Each must be one of the server's. */
  resources: readonly string[]
}

/** What an authenticated resource server may ask about. */
export interface ResourceServer {
  id: string
  /** As the authorization server writes them. */
  resources: readonly string[]
}

/** Finds resource servers by their credentials; undefined when no or another secret belongs to the id. */
export type ResourceServers = (id: string, secret: string) => ResourceServer | undefined

/**
 * Checks the configured resource servers and keeps the hashes of their secrets.
 *
 * @param resources every resource of the authorization server
 * @throws {ConfigurationError} when one cannot work
 */
export function createResourceServers(
  configured: readonly ConfiguredResourceServer[],
  resources: readonly string[],
): ResourceServers {
  const byId = new Map<string, { server: ResourceServer; isSecret: (presented: string) => boolean }>()
  for (const { id, secret, resources: named } of configured) {
    const problem = (text: string) =>
      new ConfigurationError(
        `The resource server ${JSON.stringify(id)} of the option resourceServers ${text}.`,
      )
    if (!isVisible(id)) throw problem('needs an id of printable ASCII')
    if (byId.has(id)) throw problem('is configured twice: keep one of them')
    const badSecret = secretProblem(secret, 'secret')
    if (badSecret !== undefined) throw problem(badSecret)
    if (named.length === 0) throw problem('has no resources: name those it stands for')
    const own = named.map(resource => {
      const known = findResource(resources, resource)
      if (known === undefined) throw problem('names a resource that is not one of the option resources')
      return known
    })
    byId.set(id, { server: { id, resources: own }, isSecret: secretComparison(secret) })
  }
  return (id, secret) => {
    const found = byId.get(id)
    // R87: unknown and wrong take the same time.
    return (found?.isSecret ?? compareWithNobody)(secret) ? found?.server : undefined
  }
}
