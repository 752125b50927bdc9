import { performance } from 'node:perf_hooks'
import { createSealer } from '@sallyport/oauth'
import { type GuardedChanges, guardChanges } from '../calls/changes.ts'
import { createLists } from '../calls/lists.ts'
import type { CallServices } from '../calls/perform.ts'
import { type SharedChanges, shareChanges } from '../calls/shared-changes.ts'
import type { Waiting } from '../elicit/exchange.ts'
import { securitySchemes } from '../in-band-challenge.ts'
import { taskOptions } from '../tasks/task-options.ts'
import { createTaskRecords, maxSealedLength } from '../tasks/task-records.ts'
import { createTasks, type Tasks } from '../tasks/tasks.ts'
import type { SdkServerParts } from '../tools/sdk-server.ts'
import type { Vouching } from './create-vouching.ts'
import type { Ingredients, Premises } from './ingredients.ts'
import type { Kept } from './open-kept.ts'

/** What calls share, whichever way they come. */
export interface Calls {
  services: CallServices
  /** Calls that go on after they were answered. */
  tasks: Tasks
  /** What each SDK server that answers them is made of. */
  parts: SdkServerParts
  /** Changes as all processes hear of them. */
  shared: SharedChanges
  /** Changes as they reach those who may hear of them. */
  changes: GuardedChanges
}

/** @throws {ConfigurationError} when tasks cannot be kept as configured */
export function createCalls(
  ingredients: Ingredients,
  { hasScopes }: Premises,
  { ring, store }: Kept,
  { voucher, signIn }: Vouching,
  waiting: Waiting,
): Calls {
  const { identity, registry, inBandChallenges, log, emit, clock, random, inFlight } = ingredients
  const { tenant } = store
  const services: CallServices = {
    providers: signIn?.providers ?? new Map(),
    connectLink: async link => {
      if (!signIn) throw new Error('a server without sign-in has nobody to connect')
      return signIn.server.createConnectLink(link)
    },
    hasScopes,
    exposeErrors: ingredients.exposeErrors,
    emit,
    log,
    now: () => performance.now(),
    track: inFlight.track,
  }
  const onError = (error: unknown) => log.error({ err: error }, 'a change could not be told')
  const shared = shareChanges(ingredients.changes, {
    store,
    sealer: createSealer(ring, random, 'mcp-session'),
    tenant,
    clock,
    random,
    onError,
  })
  const tasks = createTasks({
    ...taskOptions(ingredients.tasks),
    ...waiting,
    records: createTaskRecords({
      store,
      sealer: createSealer(ring, random, 'call-task', maxSealedLength),
      tenant,
      clock,
      random,
      onChange: key => shared.tellTask(key),
    }),
    registry,
    services,
    signIns: store,
    changes: shared,
    clock,
  })
  const lists = createLists(registry, services, {
    ...ingredients.lists,
    ...(voucher &&
      inBandChallenges !== false && {
        securitySchemes: tool => securitySchemes(tool, voucher.isOwnIssuer),
      }),
  })
  return {
    services,
    tasks,
    parts: { identity, tasks, registry, services, lists },
    shared,
    changes: guardChanges(shared, { registry, hasScopes, services, clock, onError }),
  }
}
