import { AsyncLocalStorage } from 'node:async_hooks'

/** What belongs to one HTTP request and is told with each of its events, wherever in the code they arise. */
export interface RequestScope {
  /** Random: it comes from nobody's header. */
  readonly requestId: string
  /** Keyed hash of where the request comes from. */
  readonly sourceHash?: string | undefined
}

const scopes = new AsyncLocalStorage<RequestScope>()

/**
 * Runs what answers a request, so that all events of it carry the same id. Inside a request the id stays.
 *
 * @param known.sourceHash where the request comes from, when that is known
 * @param known.newId makes an id. Default: a random UUID
 */
export function inRequest<T>(
  run: () => T,
  { sourceHash, newId = () => crypto.randomUUID() }: { sourceHash?: string; newId?: () => string } = {},
): T {
  const outer = scopes.getStore()
  let id: string | undefined
  const scope: RequestScope = {
    sourceHash: sourceHash ?? outer?.sourceHash,
    // Made when somebody asks: most requests have no event.
    get requestId() {
      id ??= outer?.requestId ?? newId()
      return id
    },
  }
  return scopes.run(scope, run)
}

/** The request at hand; undefined outside of requests. */
export function currentRequest(): RequestScope | undefined {
  return scopes.getStore()
}
