/** The resources that one client follows. */
export interface Subscriptions extends Iterable<string> {
  has(uri: string): boolean
  /** @throws {ProtocolError} when it cannot be kept */
  add(uri: string): Promise<void>
  delete(uri: string): Promise<void>
}

/** Subscriptions of a connection, which end with it. */
export function createSubscriptions(): Subscriptions {
  const uris = new Set<string>()
  return {
    has: uri => uris.has(uri),
    async add(uri) {
      uris.add(uri)
    },
    async delete(uri) {
      uris.delete(uri)
    },
    [Symbol.iterator]: () => uris[Symbol.iterator](),
  }
}
