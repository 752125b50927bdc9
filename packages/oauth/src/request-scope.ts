import { AsyncLocalStorage } from 'node:async_hooks'

/** What belongs to one HTTP request and is told with each of its events, wherever in the code they arise. */
export interface RequestScope {
  /** Random: it comes from nobody's header. */
  readonly requestId: string
  /** Keyed hash of where the request comes from. */
  readonly sourceHash?: string | undefined
  /** How long it has waited for the store; undefined where nobody limits the sum. */
  readonly storeWait?: StoreWait | undefined
}

/** The time in which at least one step on the store was under way, in milliseconds. */
export interface StoreWait {
  readonly elapsedMs: number
  /** A step begins; the function says that it has ended. */
  begin(): () => void
}

function createStoreWait(): StoreWait {
  let underWay = 0
  let since = 0
  let totalMs = 0
  return {
    get elapsedMs() {
      return underWay === 0 ? totalMs : totalMs + performance.now() - since
    },
    begin() {
      if (underWay++ === 0) since = performance.now()
      return () => {
        if (--underWay === 0) totalMs += performance.now() - since
      }
    },
  }
}

const scopes = new AsyncLocalStorage<RequestScope>()

/**
 * Runs what answers a request, so that all events of it carry the same id. Inside a request the id stays.
 *
 * @param known.sourceHash where the request comes from, when that is known
 * @param known.limitsStoreWait its steps on the store share the time there is for one (R165). Not for a tool, which may
 *   take as many as it likes. Default: as outside, or false
 * @param known.newId makes an id. Default: a random UUID
 */
export function inRequest<T>(
  run: () => T,
  {
    sourceHash,
    limitsStoreWait = false,
    newId = () => crypto.randomUUID(),
  }: { sourceHash?: string; limitsStoreWait?: boolean; newId?: () => string } = {},
): T {
  const outer = scopes.getStore()
  const wait = outer?.storeWait ?? (limitsStoreWait ? createStoreWait() : undefined)
  return scopes.run(new OpenScope(outer, sourceHash ?? outer?.sourceHash, wait, newId), run)
}

/** A class, because an object with a getter of its own costs more than the rest of a scope. */
class OpenScope implements RequestScope {
  readonly sourceHash: string | undefined
  readonly storeWait: StoreWait | undefined
  readonly #outer: RequestScope | undefined
  readonly #newId: () => string
  #id: string | undefined
  constructor(
    outer: RequestScope | undefined,
    sourceHash: string | undefined,
    storeWait: StoreWait | undefined,
    newId: () => string,
  ) {
    this.#outer = outer
    this.sourceHash = sourceHash
    this.storeWait = storeWait
    this.#newId = newId
  }
  // Made when somebody asks: most requests have no event.
  get requestId() {
    this.#id ??= this.#outer?.requestId ?? this.#newId()
    return this.#id
  }
}

/** The request at hand; undefined outside of requests. */
export function currentRequest(): RequestScope | undefined {
  return scopes.getStore()
}
