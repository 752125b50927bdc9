import type { CallServices } from '../calls/perform.ts'
import { importClient } from './connect-remote.ts'
import { createIdentities, type Identities } from './identities.ts'
import type { ProxySettings } from './proxy-options.ts'

/** How long a list waits for a remote server, in milliseconds; what has not come by then is left out. */
const listWaitMs = 10_000

/** What of time a test has in its hand. */
export interface RemoteTiming {
  /** Before a remote server that is away is tried again, the first time and at most, in milliseconds. */
  readonly retryMs: number
  readonly maxRetryMs: number
  /** After a change, before lists are read again, in milliseconds. */
  readonly settleMs: number
}

/** The way to a remote server, kept open where all callers share it. */
export interface RemoteLink {
  readonly identities: Identities
  /** Whether the one all callers share could not be reached last time. */
  readonly isAway: boolean
  /** Reads what the remote server has, now or as soon as it is there. Never throws. */
  connect(): Promise<void>
  /** @throws {ConfigurationError} when the client library is not there */
  open(log: CallServices['log']): Promise<void>
  close(): Promise<void>
}

/**
 * Creates the way to a remote server; nothing is connected before `open`. One that is away, or goes away, is tried again
 * until it is back.
 *
 * @param onChanged told when there may be something else
 */
export function createRemoteLink(
  settings: ProxySettings,
  onChanged: () => void,
  timing: RemoteTiming = { retryMs: 1_000, maxRetryMs: 60_000, settleMs: 200 },
): RemoteLink {
  const { label } = settings
  let log: CallServices['log'] | undefined
  let retry: ReturnType<typeof setTimeout> | undefined
  let settling: ReturnType<typeof setTimeout> | undefined
  let attempts = 0
  let isOpen = false
  let isAway = false
  let seenAt: number | undefined

  const tryLater = () => {
    clearTimeout(retry)
    if (!isOpen) return
    const ms = Math.min(timing.maxRetryMs, timing.retryMs * 2 ** Math.min(attempts++, 16))
    retry = setTimeout(() => void connect(), ms)
    retry.unref()
  }
  const listener = {
    onChanged() {
      // One that tells of changes all the time is not heard all the time.
      settling ??= setTimeout(async () => {
        settling = undefined
        await connect()
        onChanged()
      }, timing.settleMs)
      settling.unref()
    },
    onLost() {
      isAway = true
      log?.warn({ remote: label }, 'the connection to the remote server has ended; connecting again')
      // One that ends at once each time is not to be started again and again.
      if (seenAt !== undefined && performance.now() - seenAt > timing.maxRetryMs) attempts = 0
      tryLater()
    },
  }
  const identities = createIdentities(settings, listener, timing.settleMs)

  /** Reads what the remote server has, for all callers, now or as soon as it is there. */
  const connect = async (): Promise<void> => {
    if (!isOpen) return
    try {
      const { tools, leftOut } = await identities.shared().catalogue()
      clearTimeout(retry)
      if (seenAt === undefined || isAway)
        log?.info({ remote: label, tools: tools.size }, 'remote server connected')
      if (leftOut > 0) log?.warn({ remote: label, leftOut }, 'some of what the remote server has is left out')
      seenAt = performance.now()
      if (isAway) {
        isAway = false
        onChanged()
      }
    } catch (error) {
      isAway = true
      const { code, status } = Object(error)
      log?.warn({ remote: label, code, status }, 'the remote server cannot be reached; trying again')
      tryLater()
    }
  }

  return {
    identities,
    get isAway() {
      return isAway
    },
    connect,
    async open(ownLog) {
      log = ownLog
      await importClient()
      if (isOpen) return
      isOpen = true
      if (!identities.isShared) return
      await inTime(connect())
      // What comes later than the start waits is told as a change.
      if (seenAt === undefined) isAway = true
    },
    async close() {
      isOpen = false
      clearTimeout(retry)
      clearTimeout(settling)
      settling = undefined
      await identities.close()
    },
  }
}

/** Waits, but not for long; what goes on has somebody else who waits for it. */
export async function inTime<T>(work: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(() => resolve(undefined), listWaitMs)
  })
  work.catch(() => {})
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
