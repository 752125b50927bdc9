import type { EventSink } from '../events.ts'
import { createEmbeddedCallTasks } from './call-tasks/embedded-call-tasks.ts'
import { createEmbeddedChanges } from './changes/embedded-changes.ts'
import { createEmbeddedCircuits } from './circuits/embedded-circuits.ts'
import { createEmbeddedClients } from './clients/embedded-clients.ts'
import { createEmbeddedConnections } from './connections/embedded-connections.ts'
import { createEmbeddedSteps } from './embedded-steps.ts'
import { createEmbeddedGrants } from './grants/embedded-grants.ts'
import { createEmbeddedLeases } from './leases/embedded-leases.ts'
import { createEmbeddedPendingAuthorizations } from './pending-authorizations/embedded-pending-authorizations.ts'
import type { RecordKeeper } from './record-keeper.ts'
import { createEmbeddedSessions } from './sessions/embedded-sessions.ts'
import { createEmbeddedSigningKeys } from './signing-keys/embedded-signing-keys.ts'
import { createEmbeddedSingleUse } from './single-use/embedded-single-use.ts'
import { createEmbeddedStatistics } from './statistics/embedded-statistics.ts'
import type { Store } from './store.ts'
import { createEmbeddedTasks } from './tasks/embedded-tasks.ts'
import { createEmbeddedUsers } from './users/embedded-users.ts'

/** Options every embedded store has. */
export interface EmbeddedStoreOptions {
  /** Whose records these are (`OAUTH_SANDBOX`). Default `default`. */
  tenant?: string
  /** Hears of records that could not be read (R172). Default: nobody. */
  onEvent?: EventSink
}

/**
 * The protocol steps of the port, written once for every adapter that lives in this process. A step reads and writes
 * without `await` in between, so that it is atomic as soon as the keeper keeps other processes out.
 */
export function createEmbeddedStore(
  keeper: RecordKeeper,
  { tenant = 'default', onEvent }: EmbeddedStoreOptions,
): Store {
  const steps = createEmbeddedSteps(keeper, onEvent)
  return {
    tenant,
    check: () => steps.read(() => keeper.check()),
    cleanupExpired: ({ now }) => steps.write(() => keeper.deleteExpired(now)),
    close: steps.close,
    ...createEmbeddedStatistics(steps),
    ...createEmbeddedUsers(steps),
    ...createEmbeddedClients(steps),
    ...createEmbeddedPendingAuthorizations(steps),
    ...createEmbeddedGrants(steps),
    ...createEmbeddedConnections(steps),
    ...createEmbeddedLeases(steps),
    ...createEmbeddedCircuits(steps),
    ...createEmbeddedTasks(steps),
    ...createEmbeddedSigningKeys(steps),
    ...createEmbeddedSingleUse(steps),
    ...createEmbeddedSessions(steps),
    ...createEmbeddedChanges(steps),
    ...createEmbeddedCallTasks(steps),
  }
}
