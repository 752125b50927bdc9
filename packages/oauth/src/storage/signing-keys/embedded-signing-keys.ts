import type { EmbeddedSteps } from '../embedded-steps.ts'
import { noEnd } from '../record-keeper.ts'
import { recordSchemas, type SigningKey } from '../records.ts'
import type { SigningKeyStore } from './signing-key-store.ts'

export function createEmbeddedSigningKeys({
  keeper,
  write,
  read,
  find,
  list,
}: EmbeddedSteps): SigningKeyStore {
  const listSigningKeys = (now: number): SigningKey[] =>
    list('signing_key', recordSchemas.signingKey, undefined, now)
  const findSigningKey = (kid: string, now: number) => find('signing_key', recordSchemas.signingKey, kid, now)
  const putSigningKey = (record: SigningKey, now: number) => {
    const expiresAt = record.retiresAt === 0 ? noEnd : record.retiresAt
    keeper.put('signing_key', record.kid, { value: JSON.stringify(record), expiresAt }, now)
  }

  return {
    listSigningKeys: ({ now }) => read(() => listSigningKeys(now)),
    putSigningKey: ({ record, newestKid, now }) =>
      write(() => {
        const newest = listSigningKeys(now).at(-1)?.kid
        if (newest === record.kid) return 'stored'
        if (newest !== newestKid) return 'stale'
        putSigningKey(record, now)
        return 'stored'
      }),
    retireSigningKey: ({ kid, retiresAt, now }) =>
      write(() => {
        const record = findSigningKey(kid, now)
        if (!record) return 'unknown'
        if (record.retiresAt !== 0 && record.retiresAt <= retiresAt) return 'already'
        putSigningKey({ ...record, retiresAt }, now)
        return 'retired'
      }),
    resealSigningKey: ({ kid, sealed, expectedSealed, now }) =>
      write(() => {
        const record = findSigningKey(kid, now)
        if (record?.sealed === sealed) return 'resealed'
        if (record?.sealed !== expectedSealed) return 'stale'
        putSigningKey({ ...record, sealed }, now)
        return 'resealed'
      }),
  }
}
