import { StoreUnavailableError } from '../errors.ts'
import type { EventSink } from '../events.ts'
import type { Keys } from './keys.ts'
import type { Script } from './lua.generated.ts'
import type { RecordKind } from './record-keeper.ts'
import type { RedisCommands, RedisReply } from './redis-commands.ts'
import { type NumberedRecord, parseNumbered } from './redis-records.ts'
import { scanKeys } from './redis-scan.ts'

/** What reads a record; of zod, no more than is needed. */
interface RecordSchema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false }
}

type Step<Reply> = (
  kind: RecordKind,
  script: Script,
  keyNames: readonly string[],
  args: readonly (string | number)[],
  until?: number,
) => Promise<Reply>

/** What the parts of a store in Redis share: its steps, and its records read through their schemas. */
export interface RedisSteps {
  readonly keys: Keys
  readonly commands: RedisCommands
  /** Runs a step whose record is not there when what lies there is not ours (R172). */
  readonly run: Step<RedisReply | undefined>
  /** The same for a step whose loss a user would notice. */
  readonly runConfirmed: Step<RedisReply | undefined>
  /**
   * Runs a step that cannot do without its key.
   *
   * @throws {StoreUnavailableError} also when what lies there is not ours
   */
  readonly put: Step<RedisReply>
  readonly putConfirmed: Step<RedisReply>
  /** @throws {StoreUnavailableError} once the store is closed */
  assertOpen(): void
  close(): void
  /** What lies there is not ours: absent, and somebody is told (R172). */
  unreadable(kind: RecordKind): undefined
  /** R172: what does not fit its schema is foreign or corrupt: absent, and somebody is told. */
  parse<T>(kind: RecordKind, schema: RecordSchema<T>, read: () => unknown): T | undefined
  /** The same for `number:number:record`. A null is absent, undefined unreadable. */
  parseNumbered(kind: RecordKind, value: string | null | undefined): NumberedRecord | undefined
  /** Whether there is a mark that has not ended. */
  isMarked(key: string, now: number, endOf?: (mark: string) => number): Promise<boolean>
  /** Values of all hashes whose key matches a pattern, page by page; `cursor` as in the port. */
  readHashes(
    kind: RecordKind,
    pattern: string,
    page: { cursor: string | undefined; limit: number },
  ): Promise<{ values: string[]; cursor: string | undefined }>
}

export function createRedisSteps(
  commands: RedisCommands,
  keys: Keys,
  onEvent: EventSink | undefined,
): RedisSteps {
  let isOpen = true

  const unreadable = (kind: RecordKind): undefined => {
    onEvent?.({ type: 'record_unreadable', kind })
    return undefined
  }
  const run: RedisSteps['run'] = async (kind, script, keyNames, args, until = commands.stepEndsAt()) =>
    (await commands.run(script, keyNames, args, until)) ?? unreadable(kind)
  const runConfirmed: RedisSteps['run'] = async (kind, ...step) =>
    (await commands.runConfirmed(...step)) ?? unreadable(kind)

  return {
    keys,
    commands,
    run,
    runConfirmed,
    put: async (...step) => present(await run(...step)),
    putConfirmed: async (...step) => present(await runConfirmed(...step)),
    assertOpen() {
      if (!isOpen) throw new StoreUnavailableError('the store is closed')
    },
    close() {
      isOpen = false
      commands.close()
    },
    unreadable,
    parse(kind, schema, read) {
      try {
        const parsed = schema.safeParse(read())
        if (parsed.success) return parsed.data
      } catch {
        // Not even JSON.
      }
      return unreadable(kind)
    },
    parseNumbered(kind, value) {
      if (value === null) return undefined
      return (value === undefined ? undefined : parseNumbered(value)) ?? unreadable(kind)
    },
    async isMarked(key, now, endOf = Number) {
      const mark = await commands.read(client => client.get(key))
      if (mark === null) return false
      // An unreadable mark is still a mark.
      return mark === undefined || !(endOf(mark) <= now)
    },
    async readHashes(kind, pattern, { cursor, limit }) {
      const until = commands.stepEndsAt()
      const page = await commands.read(client => scanKeys(client, pattern, cursor, limit), until)
      const hashes = await Promise.all(
        (page?.found ?? []).map(key => commands.read(client => client.hvals(key), until)),
      )
      return { values: hashes.flatMap(values => values ?? unreadable(kind) ?? []), cursor: page?.cursor }
    },
  }
}

function present(reply: RedisReply | undefined): RedisReply {
  if (!reply) throw new StoreUnavailableError('something else lies where the store keeps a record')
  return reply
}
