import type { Adapter, AdapterPayload } from 'oidc-provider'

interface Entry {
  model: string
  id: string
  payload: AdapterPayload
  /** Milliseconds since the epoch. */
  expiresAtMs: number
}

/** Everything the OpenID provider stores, open to the test's control. */
export interface MemoryStorage {
  /** How many live records the predicate picks. */
  count(pick: (model: string, payload: AdapterPayload) => boolean): number
  /** The live records of a model that the predicate picks. */
  list(model: string, pick: (payload: AdapterPayload) => boolean): AdapterPayload[]
  /** Adapter of one model of `oidc-provider`. */
  adapter(model: string): Adapter
  /** Forgets every record that the predicate picks; answers how many there were. */
  forget(pick: (model: string, payload: AdapterPayload) => boolean): number
}

/** Storage of one upstream; unlike the library's own default it is not shared by the whole process. */
export function createMemoryStorage(): MemoryStorage {
  const entries = new Map<string, Entry>()

  const live = (entry: Entry | undefined): AdapterPayload | undefined =>
    entry !== undefined && entry.expiresAtMs > Date.now() ? entry.payload : undefined

  const forget = (pick: (model: string, payload: AdapterPayload) => boolean): number => {
    let count = 0
    for (const [key, { model, payload }] of entries) {
      if (pick(model, payload) && entries.delete(key)) count++
    }
    return count
  }

  const findWhere = (model: string, pick: (payload: AdapterPayload) => boolean) =>
    live([...entries.values()].find(entry => entry.model === model && pick(entry.payload)))

  return {
    forget,
    count: pick =>
      [...entries.values()].filter(entry => live(entry) && pick(entry.model, entry.payload)).length,
    list: (model, pick) =>
      [...entries.values()].flatMap(entry => {
        const payload = entry.model === model ? live(entry) : undefined
        return payload && pick(payload) ? [payload] : []
      }),
    adapter: model => ({
      async upsert(id, payload, expiresInSeconds) {
        const expiresAtMs = expiresInSeconds ? Date.now() + expiresInSeconds * 1000 : Number.POSITIVE_INFINITY
        entries.set(`${model}:${id}`, { model, id, payload, expiresAtMs })
      },
      async find(id) {
        return live(entries.get(`${model}:${id}`))
      },
      async findByUid(uid) {
        return findWhere(model, payload => payload.uid === uid)
      },
      async findByUserCode(userCode) {
        return findWhere(model, payload => payload.userCode === userCode)
      },
      async consume(id) {
        const entry = entries.get(`${model}:${id}`)
        if (entry) entry.payload.consumed = Math.floor(Date.now() / 1000)
      },
      async destroy(id) {
        entries.delete(`${model}:${id}`)
      },
      async revokeByGrantId(grantId) {
        forget((_, payload) => payload.grantId === grantId)
      },
    }),
  }
}
