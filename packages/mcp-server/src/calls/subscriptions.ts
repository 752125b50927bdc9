/** The resources that somebody follows. */
export interface Followed extends Iterable<string> {
  /** Hears when there are others. Absent: they stay the same. */
  onChange?(listener: () => void): () => void
}

/** The resources that one client follows. */
export interface Subscriptions extends Followed {
  has(uri: string): boolean
  /** @throws {ProtocolError} when it cannot be kept */
  add(uri: string): Promise<void>
  delete(uri: string): Promise<void>
}

/** Subscriptions of a connection, which end with it. */
export function createSubscriptions(): Subscriptions {
  const uris = new Set<string>()
  const listeners = createListeners()
  return {
    has: uri => uris.has(uri),
    async add(uri) {
      uris.add(uri)
      listeners.tell()
    },
    async delete(uri) {
      uris.delete(uri)
      listeners.tell()
    },
    onChange: listeners.add,
    [Symbol.iterator]: () => uris[Symbol.iterator](),
  }
}

/** Those who hear of one thing. */
export function createListeners(): { add(listener: () => void): () => void; tell(): void } {
  const all = new Set<() => void>()
  return {
    add(listener) {
      all.add(listener)
      return () => void all.delete(listener)
    },
    tell() {
      for (const listener of all) listener()
    },
  }
}
