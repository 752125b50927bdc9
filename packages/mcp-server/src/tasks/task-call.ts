import type { ServerContext } from '@modelcontextprotocol/server'
import { type ClientExchange, noExchange } from '../elicit/exchange.ts'
import { InputPending } from '../elicit/rounds.ts'
import type { Call } from '../tools/call-context.ts'
import type { TaskRun } from './task-run.ts'

/** A task that a call has become. */
export interface BegunTask {
  run: TaskRun
  /** How what runs as the task asks. */
  exchange: ClientExchange
}

const noStream = () => Promise.reject(new Error('a task has no stream to its client'))

/** A call as its handler meets it that runs as a task from its beginning. */
export const taskCall = ({ id, method, params, era, caller }: Call, { run, exchange }: BegunTask): Call => ({
  id,
  method,
  params,
  era,
  caller,
  exchange,
  signal: run.signal,
  client: noStream,
  background: { say: run.say },
})

/**
 * A call that may become a task while its handler runs. Until then it is a call like any other, which asks in rounds;
 * from then on it asks within the task, what it says of its progress is the status message, and its client may go.
 *
 * @param create makes the task; when it rejects, the call is what it was
 * @param onBegun the call is over for its client, and the task goes on
 * @see https://modelcontextprotocol.io/extensions/tasks/overview
 */
export function callUntilTask(
  call: Call,
  create: () => Promise<BegunTask>,
  onBegun: (task: BegunTask) => void,
): Call {
  const { id, method, params, era, caller } = call
  const over = new AbortController()
  const end = () => over.abort(call.signal.reason)
  if (call.signal.aborted) end()
  else call.signal.addEventListener('abort', end, { once: true })
  let task: BegunTask | undefined
  let begun: Promise<void> | undefined
  const exchange = () => task?.exchange ?? call.exchange ?? noExchange

  const begin = async () => {
    over.signal.throwIfAborted()
    // The specification has what is asked before a task answered before it is there.
    if (exchange().isAsking?.()) throw new InputPending()
    const created = await create()
    call.signal.removeEventListener('abort', end)
    const { signal } = created.run
    signal.addEventListener('abort', () => over.abort(signal.reason), { once: true })
    task = created
    onBegun(created)
  }
  const { kept } = exchange()
  return {
    id,
    method,
    params,
    era,
    caller,
    signal: over.signal,
    exchange: {
      get capabilities() {
        return exchange().capabilities
      },
      ...(kept && { kept }),
      ask: question => exchange().ask(question),
      connect: need => exchange().connect(need),
      hasMore: need => exchange().hasMore?.(need) ?? false,
      begin: needOf => exchange().begin(needOf),
      finish: error => exchange().finish(error),
    },
    get background() {
      return task && { say: task.run.say }
    },
    client: (): Promise<ServerContext> => (task ? noStream() : call.client()),
    createTask() {
      begun ??= begin().catch(error => {
        begun = undefined
        throw error
      })
      return begun
    },
  }
}
