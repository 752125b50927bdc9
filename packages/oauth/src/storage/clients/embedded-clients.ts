import type { EmbeddedSteps } from '../embedded-steps.ts'
import type { ClientStore } from './client-store.ts'

export function createEmbeddedClients({ keeper, write, read }: EmbeddedSteps): ClientStore {
  return {
    putClientTombstone: ({ clientIdHash, expiresAt, now }) =>
      write(() => keeper.put('client_tombstone', clientIdHash, { value: 'true', expiresAt }, now)),
    isClientDeleted: ({ clientIdHash, now }) =>
      read(() => keeper.find('client_tombstone', clientIdHash, now) !== undefined),
  }
}
