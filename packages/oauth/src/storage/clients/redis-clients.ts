import { scripts } from '../lua.generated.ts'
import type { RedisSteps } from '../redis-steps.ts'
import type { ClientStore } from './client-store.ts'

export function createRedisClients({ keys, putConfirmed, isMarked }: RedisSteps): ClientStore {
  return {
    async putClientTombstone({ clientIdHash, expiresAt, now }) {
      await putConfirmed(
        'client_tombstone',
        scripts.putClientTombstone,
        [keys.clientTombstone(clientIdHash)],
        [now, expiresAt],
      )
    },
    isClientDeleted: ({ clientIdHash, now }) => isMarked(keys.clientTombstone(clientIdHash), now),
  }
}
