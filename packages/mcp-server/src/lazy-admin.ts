import type { Admin } from '@sallyport/oauth'

/** The operator's side of a server that may not be assembled yet: each call finds it first. */
export function createLazyAdmin(find: () => Promise<Admin>): Admin {
  return {
    revokeUser: async userId => (await find()).revokeUser(userId),
    disableUser: async userId => (await find()).disableUser(userId),
    enableUser: async userId => (await find()).enableUser(userId),
    revokeClient: async clientId => (await find()).revokeClient(clientId),
    revokeGrant: async grantId => (await find()).revokeGrant(grantId),
    revokeAll: async () => (await find()).revokeAll(),
    listGrants: async userId => (await find()).listGrants(userId),
    listConnections: async userId => (await find()).listConnections(userId),
    deleteConnection: async (...key) => (await find()).deleteConnection(...key),
    stats: async () => (await find()).stats(),
  }
}
