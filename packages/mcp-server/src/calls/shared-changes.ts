import type { ServerEvent, ServerEventBus } from '@modelcontextprotocol/server'
import type { ChangeStore, Clock, RandomBytes, Sealer } from '@sallyport/oauth'
import { z } from 'zod'

/** How long until what could not be sent is sent again, in milliseconds. */
const retryMs = 1_000

/** How many changes wait for the store before they are told as one: that anything may have changed. */
const maxUnsent = 256

const messageSchema = z.union([
  z.object({
    kind: z.enum(['tools_list_changed', 'prompts_list_changed', 'resources_list_changed', 'anything']),
  }),
  z.object({ kind: z.literal('resource_updated'), uri: z.string() }),
  z.object({ kind: z.literal('subscriptions'), session: z.string() }),
  z.object({ kind: z.literal('task'), task: z.string() }),
])
const envelopeSchema = z.object({ from: z.string(), message: messageSchema })
type Message = z.infer<typeof messageSchema>

/** Changes of all processes on one store: those published here, at once, and those of the others. */
export interface SharedChanges extends ServerEventBus {
  /** Hears when changes may have been missed. */
  onGap(listener: () => void): () => void
  /** Tells the other processes that a session follows other resources than before. */
  tellSession(key: string): void
  /** Hears of a session, from other processes. */
  onSession(listener: (key: string) => void): () => void
  /** Tells all processes, this one as well, that a task stands differently. */
  tellTask(key: string): void
  /** Hears of a task, from any process. */
  onTask(listener: (key: string) => void): () => void
  /** Waits for what is on its way, and hears nothing more. */
  close(): Promise<void>
}

/**
 * Joins the changes of this process with those of the others on its store. What is told is sealed, because the address
 * of a resource may be nobody's business; a message that does not open is not ours. When the store cannot take a
 * message, it is sent again until it can: who listens elsewhere hears late, but hears.
 */
export function shareChanges(
  own: ServerEventBus,
  options: {
    store: ChangeStore
    sealer: Sealer
    tenant: string
    clock: Clock
    random: RandomBytes
    onError: (error: Error) => void
  },
): SharedChanges {
  const { store, sealer, tenant, clock, onError } = options
  const place = { tenant, kind: 'change', id: 'feed' }
  const from = Buffer.from(options.random(6)).toString('base64url')
  const listeners = new Set<(event: ServerEvent) => void>()
  const gapListeners = new Set<() => void>()
  const sessionListeners = new Set<(key: string) => void>()
  const taskListeners = new Set<(key: string) => void>()
  const unsent = new Map<string, Message>()
  let sending: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let isClosed = false

  const tell = <T>(to: ReadonlySet<(value: T) => void>, value: T) => {
    for (const listener of to) {
      try {
        listener(value)
      } catch (error) {
        onError(error as Error)
      }
    }
  }
  const tellGap = () => tell<void>(gapListeners, undefined)

  const sealed = (message: Message): string => {
    try {
      return sealer.seal(JSON.stringify({ from, message }), place)
    } catch (error) {
      // An address that long is not worth a second way to tell of it.
      if (!(error instanceof RangeError)) throw error
      return sealer.seal(JSON.stringify({ from, message: { kind: 'anything' } }), place)
    }
  }
  const sendAll = async () => {
    for (let next = first(unsent); next; next = first(unsent)) {
      const [name, message] = next
      // Before it is sent: what is published meanwhile is news again.
      unsent.delete(name)
      try {
        await store.announceChange({ sealed: sealed(message), now: clock() })
      } catch (error) {
        unsent.set(name, message)
        onError(error as Error)
        clearTimeout(timer)
        if (!isClosed) timer = setTimeout(flush, retryMs).unref()
        return
      }
    }
  }
  const flush = () => {
    sending ??= sendAll().finally(() => {
      sending = undefined
    })
  }
  const send = (message: Message) => {
    if (isClosed) return
    if (unsent.size >= maxUnsent) {
      unsent.clear()
      unsent.set('anything', { kind: 'anything' })
    } else unsent.set(JSON.stringify(message), message)
    flush()
  }

  const hear = (text: string) => {
    const opened = sealer.open(text, place)
    const envelope = opened && envelopeSchema.safeParse(JSON.parse(opened.plaintext)).data
    if (!envelope || envelope.from === from) return
    const { message } = envelope
    if (message.kind === 'subscriptions') tell(sessionListeners, message.session)
    else if (message.kind === 'task') tell(taskListeners, message.task)
    else if (message.kind === 'resource_updated') tell(listeners, message)
    else if (message.kind === 'anything') tellGap()
    else tell<ServerEvent>(listeners, { kind: message.kind })
  }
  const stopWatching = store.watchChanges({ onChange: hear, onGap: tellGap })
  const stopOwn = own.subscribe(event => {
    tell(listeners, event)
    send(event.kind === 'resource_updated' ? { kind: event.kind, uri: event.uri } : { kind: event.kind })
  })

  const listening = <T>(to: Set<T>, listener: T) => {
    to.add(listener)
    return () => void to.delete(listener)
  }
  return {
    publish: event => own.publish(event),
    subscribe: listener => listening(listeners, listener),
    onGap: listener => listening(gapListeners, listener),
    tellSession: session => send({ kind: 'subscriptions', session }),
    onSession: listener => listening(sessionListeners, listener),
    tellTask(task) {
      tell(taskListeners, task)
      send({ kind: 'task', task })
    },
    onTask: listener => listening(taskListeners, listener),
    async close() {
      isClosed = true
      clearTimeout(timer)
      stopOwn()
      stopWatching()
      await sending
    },
  }
}

const first = <K, V>(map: ReadonlyMap<K, V>): [K, V] | undefined => map.entries().next().value
