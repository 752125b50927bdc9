import { systemRandom } from '../../runtime.ts'
import { scripts } from '../lua.generated.ts'
import { operationId } from '../operation-id.ts'
import { recordSchemas } from '../records.ts'
import type { RedisSteps } from '../redis-steps.ts'
import type { SigningKeyStore } from './signing-key-store.ts'

/** Signing keys that nobody has read for so long are nobody's, in seconds: 400 days. */
const signingKeysIdleSeconds = 34_560_000

export function createRedisSigningKeys({
  keys,
  commands,
  run,
  putConfirmed,
  unreadable,
  parse,
}: RedisSteps): SigningKeyStore {
  return {
    async listSigningKeys({ now }) {
      const key = keys.signingKeys()
      const fields = (await commands.read(client => client.hgetall(key))) ?? unreadable('signing_key') ?? {}
      const kids = Object.keys(fields).flatMap(field => /^order:(.*)$/s.exec(field)?.[1] ?? [])
      const found = kids.flatMap(kid => {
        const [sequence, retiresAt] = (fields[`order:${kid}`] ?? '').split(':').map(Number)
        const record = parse('signing_key', recordSchemas.signingKey, () => ({
          ...JSON.parse(fields[`record:${kid}`] ?? ''),
          kid,
          sealed: fields[`sealed:${kid}`],
          retiresAt,
        }))
        return record && (record.retiresAt === 0 || record.retiresAt > now)
          ? [{ sequence: sequence!, record }]
          : []
      })
      // Keys that somebody reads are somebody's.
      if (found.length > 0) await commands.read(client => client.expire(key, signingKeysIdleSeconds))
      return found.sort((a, b) => a.sequence - b.sequence).map(({ record }) => record)
    },
    async putSigningKey({ record: { kid, retiresAt, sealed, ...record }, newestKid, now }) {
      const [outcome] = await putConfirmed(
        'signing_key',
        scripts.putSigningKey,
        [keys.signingKeys()],
        [now, kid, retiresAt, sealed, JSON.stringify(record), newestKid ?? '', signingKeysIdleSeconds],
      )
      return outcome as 'stored' | 'stale'
    },
    async retireSigningKey({ kid, retiresAt, now }) {
      const reply = await run(
        'signing_key',
        scripts.retireSigningKey,
        [keys.signingKeys()],
        // Only this adapter sends a step again, so it can name it.
        [now, kid, retiresAt, operationId(systemRandom)],
      )
      return (reply?.[0] ?? 'unknown') as 'retired' | 'already' | 'unknown'
    },
    async resealSigningKey({ kid, sealed, expectedSealed, now }) {
      const reply = await run(
        'signing_key',
        scripts.resealSigningKey,
        [keys.signingKeys()],
        [now, kid, sealed, expectedSealed],
      )
      return (reply?.[0] ?? 'stale') as 'resealed' | 'stale'
    },
  }
}
