/**
 * One of several processes that refresh the same connections: a store and one provider, nothing else. The test says
 * over IPC what it does, when it stops in the middle, and what time it is.
 */

import { createFileStore, type Store, StoreUnavailableError, systemClock } from '@sallyport/oauth'
import { createRedisStore } from '@sallyport/oauth/redis'
import { google, oidc } from '@sallyport/providers'
import {
  createProviderHost,
  type RefreshAnswer,
  type RefreshMessage,
  type RefreshSettings,
  type StopPlace,
} from './refresh-settings.ts'

const settings = JSON.parse(process.env.E2E_REFRESH ?? 'null') as RefreshSettings | null
if (settings === null) throw new Error('E2E_REFRESH is missing')

let aheadSeconds = 0
let stopAt: StopPlace | undefined
let holdsLease = false
let goOn = () => {}
const clock = () => systemClock() + aheadSeconds
const tell = (answer: RefreshAnswer) => process.send?.(answer)

async function stop(where: typeof stopAt): Promise<void> {
  if (stopAt !== where) return
  stopAt = undefined
  const opened = new Promise<void>(resolve => {
    goOn = resolve
  })
  tell({ stoppedAt: where! })
  await opened
}

const store: Store =
  'redisUrl' in settings.store
    ? await createRedisStore({ url: settings.store.redisUrl })
    : createFileStore({ directory: settings.store.directory })
const stoppable: Store = {
  ...store,
  async claimLease(step) {
    const claim = await store.claimLease(step)
    holdsLease = claim.outcome === 'claimed'
    if (holdsLease) await stop('claimed')
    return claim
  },
  releaseLease(step) {
    holdsLease = false
    return store.releaseLease(step)
  },
  async findCircuit(step) {
    const found = await store.findCircuit(step)
    // The last thing that is looked at before a request.
    if (holdsLease) await stop('sending')
    return found
  },
  async replaceConnection(step) {
    await stop('replied')
    return store.replaceConnection(step)
  },
}

const { clientId, clientSecret, apiOrigin, endpoints, issuer } = settings
const provider =
  settings.kind === 'google'
    ? google({ clientId, clientSecret, endpoints: { ...endpoints, apiOrigins: [apiOrigin] } })
    : oidc({ id: 'upstream', label: 'Test Cloud', issuer, clientId, clientSecret, apiOrigins: [apiOrigin] })
const connected = provider.connect(createProviderHost(stoppable, clock))

async function callAll(userIds: readonly string[], callers: number, parallel: number, comesBack: boolean) {
  const queue = userIds.flatMap(userId => Array.from({ length: callers }, () => userId))
  const tokens: string[] = []
  const errors: string[] = []
  const worker = async () => {
    for (let userId = queue.pop(); userId !== undefined; userId = queue.pop()) {
      try {
        tokens.push((await connected.token(userId, [])).value)
      } catch (error) {
        if (comesBack && error instanceof StoreUnavailableError) queue.push(userId)
        else errors.push((error as Error).name)
      }
    }
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  return { tokens, errors }
}

/** As the timer of a server: when the store does not answer, what is left is due again. */
async function runDue(): Promise<void> {
  try {
    await connected.runDue!()
  } catch (error) {
    if (!(error instanceof StoreUnavailableError)) throw error
    await runDue()
  }
}

process.on('message', async (message: RefreshMessage) => {
  if ('aheadSeconds' in message) aheadSeconds = message.aheadSeconds
  if ('stopAt' in message) stopAt = message.stopAt
  if ('goOn' in message) goOn()
  if ('runDue' in message) {
    await runDue()
    tell({ id: message.runDue.id, tokens: [], errors: [] })
  }
  if ('call' in message) {
    const { id, userIds, callers = 1, parallel = Number.POSITIVE_INFINITY, comesBack = false } = message.call
    const workers = Math.min(parallel, userIds.length * callers)
    tell({ id, ...(await callAll(userIds, callers, workers, comesBack)) })
  }
})
// The test has gone: so does this.
process.on('disconnect', () => process.exit(0))
tell('ready')
