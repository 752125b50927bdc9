import { StoreUnavailableError } from '../errors.ts'
import { createEmbeddedStore, type EmbeddedStoreOptions } from './embedded-store.ts'
import type { KeptRecord, RecordKeeper, RecordKind, RecordOwner, RevocationWatcher } from './record-keeper.ts'
import type { ChangeWatcher, Store } from './store.ts'

export interface MemoryStoreOptions extends EmbeddedStoreOptions {
  /** How many records of one kind are held before new ones are refused. Default 100000. */
  maxEntries?: number
}

/** A store that ends with the process. */
export interface MemoryStore extends Store {
  /** Records held, with those whose end has passed but that nobody has read since. */
  readonly size: number
}

/** A record and its place in the order in which records were first put. */
interface HeldRecord extends KeptRecord {
  position: number
}

/** Creates a store in memory: for tests and throw-away runs. Nothing survives the process or is shared with another. */
export function createMemoryStore({
  maxEntries = 100_000,
  ...options
}: MemoryStoreOptions = {}): MemoryStore {
  // R171: maps only, so that `__proto__` is a key like any other.
  const kinds = new Map<RecordKind, Map<string, HeldRecord>>()
  let lastPosition = 0
  const watchers = new Set<RevocationWatcher>()
  const changeWatchers = new Set<ChangeWatcher>()

  const recordsOf = (kind: RecordKind): Map<string, HeldRecord> => {
    let records = kinds.get(kind)
    if (!records) {
      records = new Map()
      kinds.set(kind, records)
    }
    return records
  }
  const dropExpired = (records: Map<string, HeldRecord>, now: number) => {
    for (const [id, { expiresAt }] of records) if (expiresAt <= now) records.delete(id)
  }
  const live = (kind: RecordKind, by: RecordOwner | undefined, now: number): HeldRecord[] => {
    const records = recordsOf(kind)
    dropExpired(records, now)
    return [...records.values()].filter(
      record => !by || ('userId' in by ? record.userId === by.userId : record.clientId === by.clientId),
    )
  }
  const makeRoom = (kind: RecordKind, records: Map<string, HeldRecord>, now: number) => {
    // A revocation belongs to a grant, which was let in; it must never be refused.
    if (records.size < maxEntries || kind === 'revocation') return
    // Nobody sends a step twice to a store in its own process; and to look through all of them for each new one would
    // make a busy server a slow one.
    if (kind === 'operation') {
      records.delete(records.keys().next().value!)
      return
    }
    dropExpired(records, now)
    if (records.size >= maxEntries) {
      throw new StoreUnavailableError(`the memory store holds ${maxEntries} records of one kind and is full`)
    }
  }

  const keeper: RecordKeeper = {
    write: step => step(),
    read: step => step(),
    find(kind, id, now) {
      const records = recordsOf(kind)
      const record = records.get(id)
      if (record && record.expiresAt <= now) records.delete(id)
      return record && record.expiresAt > now ? record.value : undefined
    },
    list: (kind, by, now) => live(kind, by, now).map(({ value }) => value),
    listPage(kind, by, { position, limit }, now) {
      const page = live(kind, by, now)
        .filter(record => record.position > position)
        .slice(0, limit)
      return { values: page.map(({ value }) => value), position: page.at(-1)?.position ?? 0 }
    },
    listDue: (kind, queue, { from, to, limit }, now) =>
      live(kind, undefined, now)
        .filter(({ queue: own, dueAt = 0 }) => own === queue && dueAt >= from && dueAt <= to)
        .sort((a, b) => a.dueAt! - b.dueAt!)
        .slice(0, limit)
        .map(({ value }) => value),
    count: (kind, now) => live(kind, undefined, now).length,
    put(kind, id, record, now) {
      const records = recordsOf(kind)
      const before = records.get(id)
      if (!before) makeRoom(kind, records, now)
      records.set(id, { ...record, position: before?.position ?? ++lastPosition })
    },
    delete: (kind, id) => void recordsOf(kind).delete(id),
    deleteExpired(now) {
      for (const records of kinds.values()) dropExpired(records, now)
    },
    check() {},
    close() {
      kinds.clear()
      watchers.clear()
      changeWatchers.clear()
    },
    revocations: {
      announce(revocations) {
        for (const watcher of watchers) {
          for (const revocation of revocations) watcher.onRevoked(revocation)
          // One process: what was made here is all there is.
          watcher.onSynced()
        }
      },
      watch(watcher) {
        watchers.add(watcher)
        watcher.onSynced()
        return () => void watchers.delete(watcher)
      },
    },
    changes: {
      announce(sealed) {
        for (const watcher of changeWatchers) watcher.onChange(sealed)
      },
      watch(watcher) {
        changeWatchers.add(watcher)
        return () => void changeWatchers.delete(watcher)
      },
    },
  }

  return Object.defineProperty(createEmbeddedStore(keeper, options) as MemoryStore, 'size', {
    get: () => [...kinds.values()].reduce((sum, records) => sum + records.size, 0),
  })
}
