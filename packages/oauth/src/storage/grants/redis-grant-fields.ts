import type { Grant } from '../records.ts'

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
    userId,
    clientId,
    endsAt: _,
    accessEndsAt: __,
    revokedAt: ___,
    revokedBy,
    code,
    refresh,
    ...fixed
  } = grant
  const { challenge, nonce, dpopJkt } = code
  const fields: Record<string, string | number | undefined> = {
    record: JSON.stringify({ ...fixed, challenge, nonce, dpopJkt }),
    userId,
    clientId,
    codeHash: code.hash,
    currentHash: refresh?.currentHash,
    previousHash: refresh?.previousHash,
    replay: refresh?.replay,
    revokedBy,
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

function toNumber(text: string): number {
  return text === '' ? Number.NaN : Number(text)
}

function optional<T>(name: string, value: string | undefined, convert: (text: string) => T) {
  return value === undefined ? {} : { [name]: convert(value) }
}
