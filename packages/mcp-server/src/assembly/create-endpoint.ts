import { createSealer } from '@sallyport/oauth'
import { type ConnectionAsking, createConnectionAsking } from '../elicit/connection-asking.ts'
import type { Waiting } from '../elicit/exchange.ts'
import { createOpenRound } from '../elicit/open-round.ts'
import { createRequestStates } from '../elicit/request-state.ts'
import { createMcpEndpoint, type McpEndpoint } from '../mount-mcp.ts'
import { isOpen } from '../offers.ts'
import { createSessions } from '../sessions/sessions.ts'
import { createSdkServer } from '../tools/sdk-server.ts'
import type { Calls } from './create-calls.ts'
import type { Vouching } from './create-vouching.ts'
import type { Ingredients } from './ingredients.ts'
import type { Kept } from './open-kept.ts'

/**
 * Creates the MCP endpoint, and how calls over a connection that stays ask.
 *
 * @param stopAsking aborts `waiting.stopping`
 */
export function createEndpoint(
  ingredients: Ingredients,
  { ring, store }: Kept,
  { voucher, gate }: Vouching,
  { parts, shared, changes }: Calls,
  waiting: Waiting,
  stopAsking: () => void,
): { mcp: McpEndpoint; asking: ConnectionAsking } {
  const { registry, log, emit, clock, random } = ingredients
  const { tenant } = store
  const onError = (error: Error) => log.debug({ err: error }, 'mcp')
  const sessions = createSessions({
    ...ingredients.sessions,
    ...waiting,
    changes: shared,
    createServer: (exchangeOf, subscriptions, hearer) =>
      createSdkServer(parts, {
        caller: undefined,
        era: 'legacy',
        hearsChanges: true,
        changes: changes.heardBy(hearer),
        subscriptions,
        exchangeOf,
      }),
    store,
    hasSignIn: voucher !== undefined,
    tenant,
    sealer: createSealer(ring, random, 'mcp-session'),
    clock,
    random,
    emit,
    onError,
  })
  const openRound = createOpenRound({
    ...waiting,
    states: createRequestStates({
      sealer: createSealer(ring, random, 'request-state'),
      tenant,
      store,
      clock,
      random,
    }),
    clock,
    emit,
  })
  const offers = registry.offers()
  const protectsEverything = offers.length > 0 && !offers.some(isOpen)
  const mcp = createMcpEndpoint({
    parts,
    changes,
    gate,
    sessions,
    openRound,
    stopAsking,
    clock,
    leanCalls: ingredients.leanCalls,
    challengeOnConnect: voucher !== undefined && (ingredients.challengeOnConnect ?? protectsEverything),
    inBandChallenges: ingredients.inBandChallenges,
    maxBodyBytes: ingredients.maxBodyBytes,
    onError,
  })
  return { mcp, asking: createConnectionAsking({ ...waiting, openRound }) }
}
