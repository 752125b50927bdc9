import { StoreUnavailableError } from '../errors.ts'
import { type Clock, type RandomBytes, systemClock, systemRandom } from '../runtime.ts'
import { operationId } from '../storage/operation-id.ts'
import type { Connection, Task } from '../storage/records.ts'
import type { Store } from '../storage/store.ts'
import { connectionSealContext, revocationSealContext, signingKeySealContext } from './seal-context.ts'
import type { Opened, SealContext, Sealer } from './sealer.ts'

/** What became of the records of one kind. */
export interface RekeyCount {
  /** Sealed by an older secret, and now by the newest. */
  resealed: number
  /** Sealed by the newest secret already. */
  current: number
  /** No secret of the ring opens them: their secret was taken out too early, and nothing reads them any more. */
  unreadable: number
}

/** What `rekey` did. When it resolves, only the newest secret is still needed for what is not `unreadable`. */
export interface RekeyResult {
  connections: RekeyCount
  signingKeys: RekeyCount
  /** Tokens that are still to be revoked at their providers. */
  revocations: RekeyCount
}

export interface RekeyOptions {
  store: Pick<
    Store,
    | 'tenant'
    | 'listAllConnections'
    | 'findConnection'
    | 'replaceConnection'
    | 'listSigningKeys'
    | 'resealSigningKey'
    | 'listTasks'
    | 'replaceTask'
  >
  /** Over the ring that has the newest secret first and the older ones behind it. */
  sealer: Sealer
  /** Default: the system's. */
  clock?: Clock
  /** Default: the system's. */
  random?: RandomBytes
  /** How many connections are read at once. Default 200. */
  pageSize?: number
}

/** How often a record is tried again because somebody else wrote it in between. */
const maxAttempts = 10

/**
 * Seals again, by the newest secret, whatever in this tenant an older one sealed, while servers go on working: a
 * record that somebody else writes meanwhile is read again. What servers read they seal again by themselves; this is
 * for the rest, when every server has the newest secret first and before an older one leaves `SALLYPORT_SECRET`.
 * Authorizations under way are left as they are: they end within minutes. Doing it again is safe.
 *
 * @throws {StoreUnavailableError} when the store does not answer, or a record never stops changing
 */
export async function rekey({
  store,
  sealer,
  clock = systemClock,
  random = systemRandom,
  pageSize = 200,
}: RekeyOptions): Promise<RekeyResult> {
  const result: RekeyResult = {
    connections: emptyCount(),
    signingKeys: emptyCount(),
    revocations: emptyCount(),
  }

  for (const key of await store.listSigningKeys({ now: clock() })) {
    const context = signingKeySealContext(store.tenant, key)
    const read = async () =>
      (await store.listSigningKeys({ now: clock() })).find(({ kid }) => kid === key.kid)
    const write = (sealed: string, { kid, sealed: expectedSealed }: typeof key) =>
      store.resealSigningKey({ kid, sealed, expectedSealed, now: clock() })
    await reseal({ sealer, context, first: key, read, write, count: result.signingKeys })
  }

  // A page may hold a connection that an earlier one held.
  const seen = new Set<string>()
  let cursor: string | undefined
  do {
    const page = await store.listAllConnections({ cursor, limit: pageSize, now: clock() })
    cursor = page.cursor
    for (const connection of page.connections) {
      const context = connectionSealContext(store.tenant, connection)
      if (seen.has(context.id)) continue
      seen.add(context.id)
      const { userId, provider, account } = connection
      const read = () => store.findConnection({ userId, provider, account, now: clock() })
      const write = (sealed: string, { generation, ...before }: Connection) =>
        store.replaceConnection({
          record: { ...before, sealed, writtenBy: operationId(random) },
          generation,
          now: clock(),
        })
      await reseal({ sealer, context, first: connection, read, write, count: result.connections })
    }
  } while (cursor !== undefined)

  const revocations = (now: number) => walkTasks(store, pageSize, now)
  const done = new Set<string>()
  for await (const task of revocations(clock())) {
    const context = revocationSealContext(store.tenant, task)
    if (done.has(context.id)) continue
    done.add(context.id)
    const read = async () => {
      for await (const each of revocations(clock())) {
        if (each.id === task.id && each.provider === task.provider) return each
      }
      return undefined
    }
    const write = (sealed: string, before: SealedTask) => {
      const { kind, provider, id, writtenBy } = before
      const next = { ...before, sealed, writtenBy: operationId(random) }
      return store.replaceTask({ kind, provider, id, writtenBy, next, now: clock() })
    }
    await reseal({ sealer, context, first: task, read, write, count: result.revocations })
  }
  return result
}

type SealedTask = Task & { sealed: string }

async function* walkTasks(
  store: RekeyOptions['store'],
  limit: number,
  now: number,
): AsyncGenerator<SealedTask, undefined> {
  let cursor: string | undefined
  do {
    const page = await store.listTasks({ kind: 'revocation', cursor, limit, now })
    for (const task of page.tasks) if (task.sealed !== undefined) yield { ...task, sealed: task.sealed }
    cursor = page.cursor
  } while (cursor !== undefined)
}

async function reseal<Kept extends { sealed: string }>(work: {
  sealer: Sealer
  context: SealContext
  first: Kept
  read(): Promise<Kept | undefined>
  write(sealed: string, before: Kept): Promise<'resealed' | 'replaced' | 'stale'>
  count: RekeyCount
}): Promise<void> {
  const { sealer, context, count } = work
  let kept: Kept | undefined = work.first
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    // Ended meanwhile: nothing to keep.
    if (!kept) return
    const opened: Opened | undefined = sealer.open(kept.sealed, context)
    if (!opened?.stale) {
      count[opened ? 'current' : 'unreadable']++
      return
    }
    if ((await work.write(sealer.seal(opened.plaintext, context), kept)) !== 'stale') {
      count.resealed++
      return
    }
    kept = await work.read()
  }
  throw new StoreUnavailableError('a record changes too fast to be sealed again')
}

function emptyCount(): RekeyCount {
  return { resealed: 0, current: 0, unreadable: 0 }
}
