import type { Grant, Task } from './records.ts'

/**
 * How records lie in Redis: what no step changes is one opaque JSON text that no script looks into, because cjson
 * would turn an empty list into an object; what steps change or compare stands beside it as text of its own.
 */

const grantNumbers = {
  codeExpiresAt: (grant: Grant) => grant.code.expiresAt,
  codeFailures: (grant: Grant) => grant.code.failures,
  codeRedeemedAt: (grant: Grant) => grant.code.redeemedAt,
  accessEndsAt: (grant: Grant) => grant.accessEndsAt,
  endsAt: (grant: Grant) => grant.endsAt,
  generation: (grant: Grant) => grant.refresh?.generation,
  rotatedAt: (grant: Grant) => grant.refresh?.rotatedAt,
  idleEndsAt: (grant: Grant) => grant.refresh?.idleEndsAt,
  revokedAt: (grant: Grant) => grant.revokedAt,
}

/** The fields of a grant's hash. */
export function grantToFields(grant: Grant): Record<string, string> {
  const {
    version,
    id,
    clientName,
    redirectUri,
    resource,
    scopes,
    authTime,
    amr,
    acr,
    createdAt,
    code,
    refresh,
  } = grant
  const fields: Record<string, string | number | undefined> = {
    record: JSON.stringify({
      version,
      id,
      clientName,
      redirectUri,
      resource,
      scopes,
      authTime,
      amr,
      acr,
      createdAt,
      challenge: code.challenge,
      nonce: code.nonce,
      dpopJkt: code.dpopJkt,
    }),
    userId: grant.userId,
    clientId: grant.clientId,
    codeHash: code.hash,
    currentHash: refresh?.currentHash,
    previousHash: refresh?.previousHash,
    replay: refresh?.replay,
    revokedBy: grant.revokedBy,
    ...Object.fromEntries(Object.entries(grantNumbers).map(([name, read]) => [name, read(grant)])),
  }
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[name, `${value}`]])),
  )
}

/** What a grant's hash says, for its schema to judge (R172). Throws when the JSON is none. */
export function grantFromFields(fields: Record<string, string>): unknown {
  const { challenge, nonce, dpopJkt, ...record } = JSON.parse(fields.record ?? '') as Record<string, unknown>
  const number = (name: keyof typeof grantNumbers) => optional(name, fields[name], toNumber)
  const text = (name: string) => optional(name, fields[name], String)
  return {
    ...record,
    ...text('userId'),
    ...text('clientId'),
    ...number('endsAt'),
    ...number('accessEndsAt'),
    ...number('revokedAt'),
    ...text('revokedBy'),
    code: {
      challenge,
      ...(nonce !== undefined && { nonce }),
      ...(dpopJkt !== undefined && { dpopJkt }),
      ...optional('hash', fields.codeHash, String),
      ...optional('expiresAt', fields.codeExpiresAt, toNumber),
      ...optional('failures', fields.codeFailures, toNumber),
      ...optional('redeemedAt', fields.codeRedeemedAt, toNumber),
    },
    ...(fields.currentHash !== undefined && {
      refresh: {
        ...number('generation'),
        ...text('currentHash'),
        ...text('previousHash'),
        ...number('rotatedAt'),
        ...text('replay'),
        ...number('idleEndsAt'),
      },
    }),
  }
}

/** `number:number:record`, as connections and signing keys lie in their hashes. */
export function parseNumbered(value: string): { first: number; second: number; record: string } | undefined {
  const [, first, second, record] = /^(\d+):(\d+):(.*)$/s.exec(value) ?? []
  return record === undefined ? undefined : { first: Number(first), second: Number(second), record }
}

/** `due:end:written by:record`, as tasks lie in their hash; claims change only what stands in front. */
export function parseTask(value: string): unknown {
  const [, dueAt, expiresAt, writtenBy, record] = /^(\d+):(\d+):([^:]*):(.*)$/s.exec(value) ?? []
  return {
    ...(JSON.parse(record ?? '') as object),
    writtenBy,
    dueAt: Number(dueAt),
    expiresAt: Number(expiresAt),
  }
}

/** The part of a task that claims do not change. */
export function taskToText({ writtenBy: _, dueAt: __, expiresAt: ___, ...record }: Task): string {
  return recordToText(record)
}

/** The same text for the same record, whatever the order of its members: scripts compare it. */
export function recordToText(record: object): string {
  return JSON.stringify(record, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )
}

function toNumber(text: string): number {
  return text === '' ? Number.NaN : Number(text)
}

function optional<T>(name: string, value: string | undefined, convert: (text: string) => T) {
  return value === undefined ? {} : { [name]: convert(value) }
}
