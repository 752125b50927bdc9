import type { z } from 'zod'
import { StoreUnavailableError } from '../errors.ts'
import type { EventSink } from '../events.ts'
import type { RecordKeeper, RecordKind, RecordOwner } from './record-keeper.ts'
import type { Revocation } from './records.ts'

/** How long the outcome of a step is kept for the same step sent again (R164), in seconds. */
const operationMemorySeconds = 120

/** What the parts of an embedded store share: its steps, and its records read through their schemas. */
export interface EmbeddedSteps {
  readonly keeper: RecordKeeper
  /** Runs a step; the revocations it hands in are announced once it has succeeded. */
  write<T>(step: (revocations: Revocation[]) => T): Promise<T>
  /** Runs a step that only reads. */
  read<T>(step: () => T): Promise<T>
  /** R172: what does not fit its schema is foreign or corrupt: absent, and somebody is told. */
  parse<T>(kind: RecordKind, schema: z.ZodType<T>, value: string | undefined): T | undefined
  find<T>(kind: RecordKind, schema: z.ZodType<T>, id: string, now: number): T | undefined
  list<T>(kind: RecordKind, schema: z.ZodType<T>, by: RecordOwner | undefined, now: number): T[]
  /** One page of what `list` lists; `cursor` as in the port. */
  listPage<T>(
    kind: RecordKind,
    schema: z.ZodType<T>,
    by: RecordOwner | undefined,
    page: { cursor: string | undefined; limit: number },
    now: number,
  ): { records: T[]; cursor: string | undefined }
  /** Keeps the outcome of a step for the same step sent again. */
  rememberOutcome(operation: string, outcome: unknown, now: number): void
  /** @throws {StoreUnavailableError} once the store is closed */
  assertOpen(): void
  close(): Promise<void>
}

export function createEmbeddedSteps(keeper: RecordKeeper, onEvent: EventSink | undefined): EmbeddedSteps {
  let isOpen = true
  const assertOpen = () => {
    if (!isOpen) throw new StoreUnavailableError('the store is closed')
  }

  const parse = <T>(kind: RecordKind, schema: z.ZodType<T>, value: string | undefined): T | undefined => {
    if (value === undefined) return undefined
    const parsed = schema.safeParse(parseJson(value))
    if (parsed.success) return parsed.data
    onEvent?.({ type: 'record_unreadable', kind })
    return undefined
  }

  return {
    keeper,
    // Async, so that what a keeper throws is a rejection.
    async write(step) {
      assertOpen()
      const revocations: Revocation[] = []
      const result = keeper.write(() => step(revocations))
      keeper.revocations.announce(revocations)
      return result
    },
    async read(step) {
      assertOpen()
      return keeper.read(step)
    },
    parse,
    find: (kind, schema, id, now) => parse(kind, schema, keeper.find(kind, id, now)),
    list: (kind, schema, by, now) =>
      keeper.list(kind, by, now).flatMap(value => parse(kind, schema, value) ?? []),
    listPage(kind, schema, by, { cursor, limit }, now) {
      const page = { position: Number(cursor ?? 0), limit }
      const { values, position } = keeper.listPage(kind, by, page, now)
      return {
        records: values.flatMap(value => parse(kind, schema, value) ?? []),
        cursor: values.length < limit ? undefined : `${position}`,
      }
    },
    rememberOutcome(operation, outcome, now) {
      const expiresAt = now + operationMemorySeconds
      keeper.put('operation', operation, { value: JSON.stringify(outcome), expiresAt }, now)
    },
    assertOpen,
    async close() {
      if (!isOpen) return
      isOpen = false
      keeper.close()
    },
  }
}

function parseJson(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    return undefined
  }
}
