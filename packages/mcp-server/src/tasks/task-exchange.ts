import type { ClientCapabilities } from '@modelcontextprotocol/server'
import type { ClientExchange, ClientRequest, ConnectionNeed, Waiting } from '../elicit/exchange.ts'
import { untilConnected } from '../elicit/until-connected.ts'
import { ToolError } from '../tools/tool-error.ts'

/** How often a question is asked when its answers do not fit. */
const attempts = 3

/** What a task and its client say to each other, by way of the store. */
export interface TaskQuestions {
  /** Puts a request where the client finds it, until it is answered or withdrawn. */
  post(name: string, request: ClientRequest): Promise<void>
  withdraw(name: string): Promise<void>
  /** Resolves with the answer, whichever process it came to. Rejects when `signal` aborts. */
  answer(name: string, signal: AbortSignal): Promise<unknown>
}

/**
 * Asks by way of the task: the request stands in what `tasks/get` answers, and its answer comes with `tasks/update`. The
 * handler waits where it asked. No name is used twice in the life of a task, as the extension demands.
 */
export function createTaskExchange(
  questions: TaskQuestions,
  {
    capabilities,
    timing,
    stopping,
    signal,
  }: Waiting & { capabilities: ClientCapabilities; signal: AbortSignal },
): ClientExchange {
  const used = new Set<string>()
  let count = 0

  const named = (name: string): string => {
    for (let again = 1; ; again++) {
      const candidate = again === 1 ? name : `${name}_${again}`
      if (used.has(candidate)) continue
      used.add(candidate)
      return candidate
    }
  }
  const assertGoesOn = () => {
    signal.throwIfAborted()
    if (stopping.aborted) throw new ToolError('The server is stopping. Try again in a moment.')
  }
  /** @param ended aborts when nobody waits for the answer any more */
  const put = async (name: string, request: ClientRequest, ended: AbortSignal): Promise<unknown> => {
    assertGoesOn()
    await questions.post(name, request)
    const tooLong = AbortSignal.timeout(timing.answerMs)
    try {
      return await questions.answer(name, AbortSignal.any([signal, stopping, tooLong, ended]))
    } catch (error) {
      assertGoesOn()
      await questions.withdraw(name)
      if (tooLong.aborted) throw new ToolError('Your app did not answer what the tool asked.')
      throw error
    }
  }
  const never = new AbortController().signal

  return {
    capabilities,
    async ask({ id, request, read }) {
      const name = id ?? `question_${++count}`
      for (let attempt = 0; attempt < attempts; attempt++) {
        const checked = await read(await put(named(name), request, never))
        if (checked !== undefined) return checked
      }
      throw new ToolError('Your app gave answers that do not fit what the tool asked.')
    },
    async connect(need) {
      if (!capabilities.elicitation?.url) throw need.error
      const ended = new AbortController()
      try {
        await connect(need, ended.signal)
      } finally {
        ended.abort()
      }
    },
    begin: async () => undefined,
    finish: async () => undefined,
  }

  async function connect(need: ConnectionNeed, ended: AbortSignal): Promise<void> {
    const known = await need.connected?.()
    const params = { mode: 'url', url: await need.link(), message: need.message }
    const request = { method: 'elicitation/create', params } as const
    const answer = put(named(`connect_${need.error.provider}`), request, ended).then(
      said => (said as { action?: unknown } | null | undefined)?.action,
      () => 'failed',
    )
    const done = untilConnected(need, known, {
      pollMs: timing.pollMs,
      timeoutMs: timing.answerMs,
      signal: AbortSignal.any([signal, stopping, ended]),
    })
    const outcome = await Promise.race([
      done,
      answer.then<unknown>(action => (action === 'accept' ? done : action)),
    ])
    done.catch(() => {})
    assertGoesOn()
    if (outcome === 'decline' || outcome === 'cancel') {
      throw new ToolError(`${need.label} was not connected, as you decided.`)
    }
    if (outcome !== true) throw need.error
  }
}
