import type { EventStore, JSONRPCMessage } from '@modelcontextprotocol/server'
import type { Clock, Sealer, SessionStore } from '@sallyport/oauth'
import { createStreamPositions } from './stream-positions.ts'

/** How long an event can be asked for again, in seconds. */
const eventSeconds = 600

/** How many events of one stream can be asked for again. */
const eventsPerStream = 256

/** How many events of a session may wait for a store that is slow; more can not be asked for again. */
const maxUnwritten = 1_000

/** Where events of sessions are kept, and how. */
export interface EventKeeping {
  store: Pick<SessionStore, 'appendEvent' | 'readEvents'>
  sealer: Sealer
  tenant: string
  clock: Clock
  /** Name of this process, for this run of it: 8 characters of base64url. */
  replica: string
  onError: (error: Error) => void
}

/** The last event a client saw: which process made it, where it stands, and in which stream. */
export interface EventPlace {
  replica: string
  position: number
  streamId: string
}

const eventId = /^([\w-]{8})_(\d{1,9})_([\w-]{1,64})$/

/** Reads an event id of ours. */
export function parseEventId(id: string): EventPlace | undefined {
  const [, replica, position, streamId] = eventId.exec(id) ?? []
  return replica === undefined || streamId === undefined
    ? undefined
    : { replica, position: Number(position), streamId }
}

const formatEventId = ({ replica, position, streamId }: EventPlace): string =>
  `${replica}_${position}_${streamId}`

/** The events of one session, for clients whose connection broke: in any process. */
export interface EventLog extends EventStore {
  /** Events behind the one a client saw last, whichever process made them. */
  readAfter(place: EventPlace): Promise<{ id: string; position: number; message: JSONRPCMessage }[]>
  /** Leaves a message for the process that waits for it. */
  leave(name: string, message: JSONRPCMessage): Promise<void>
  /** A message that another process left. */
  find(name: string): Promise<JSONRPCMessage | undefined>
}

/**
 * Creates the log of one session of one principal: `sessionKey` names both, and is part of what events are sealed for.
 * Events are numbered here and written in the background, so that no call waits for the store; a store that fails costs
 * the replay, not the call.
 */
export function createEventLog(sessionKey: string, keeping: EventKeeping): EventLog {
  const { store, sealer, tenant, clock, replica, onError } = keeping
  const positions = createStreamPositions()
  let unwritten = 0
  let written: Promise<void> = Promise.resolve()

  const nameOf = (maker: string, streamId: string) => `${sessionKey}:${maker}:${streamId}`
  const placeOf = (stream: string) => ({ tenant, kind: 'session-event', id: stream })

  const append = async (stream: string, position: number, message: JSONRPCMessage): Promise<void> => {
    const now = clock()
    const sealed = sealMessage(sealer, placeOf(stream), message)
    if (sealed === undefined) return
    const expiresAt = now + eventSeconds
    await store.appendEvent({ stream, position, sealed, limit: eventsPerStream, expiresAt, now })
  }
  const read = async (stream: string, after: number) => {
    const events = await store.readEvents({ stream, after, now: clock() })
    return events.flatMap(({ position, sealed }) => {
      const opened = sealer.open(sealed, placeOf(stream))
      return opened ? [{ position, message: JSON.parse(opened.plaintext) as JSONRPCMessage }] : []
    })
  }

  const log: EventLog = {
    async storeEvent(streamId, message) {
      // What primes a stream is empty, comes first, and need not be kept.
      const isPriming = Object.keys(message).length === 0
      const position = isPriming ? 0 : positions.next(streamId, 'result' in message || 'error' in message)
      if (!isPriming && unwritten < maxUnwritten) {
        unwritten++
        written = written
          .then(() => append(nameOf(replica, streamId), position, message))
          .catch(onError)
          .finally(() => unwritten--)
      }
      return formatEventId({ replica, position, streamId })
    },
    async getStreamIdForEventId(id) {
      const place = parseEventId(id)
      return place?.replica === replica ? place.streamId : undefined
    },
    async replayEventsAfter(id, { send }) {
      const place = parseEventId(id)
      if (!place) throw new Error('no event of this session')
      const { streamId } = place
      let { position } = place
      // Until nothing came while the store was read.
      do {
        for (const event of await log.readAfter({ ...place, position })) {
          await send(event.id, event.message)
          position = event.position
        }
        // An event that could not be kept must not be waited for.
        if ((await log.readAfter({ ...place, position })).length === 0) break
      } while (position < positions.of(streamId))
      return streamId
    },
    async readAfter({ replica: maker, streamId, position: after }) {
      if (maker === replica) await written
      const events = await read(nameOf(maker, streamId), after)
      return events.map(event => ({
        ...event,
        id: formatEventId({ replica: maker, position: event.position, streamId }),
      }))
    },
    leave: (name, message) => append(nameOf('left', name), 1, message),
    find: async name => (await read(nameOf('left', name), 0))[0]?.message,
  }
  return log
}

/** An answer too large to be kept is kept as an error, so that whoever asks again does not wait for ever. */
function sealMessage(
  sealer: Sealer,
  place: { tenant: string; kind: string; id: string },
  message: JSONRPCMessage,
): string | undefined {
  try {
    return sealer.seal(JSON.stringify(message), place)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    if (!('result' in message)) return undefined
    const tooLarge = {
      code: -32603,
      message: 'The connection broke, and the answer is too large to be kept.',
    }
    return sealer.seal(JSON.stringify({ jsonrpc: '2.0', id: message.id, error: tooLarge }), place)
  }
}
