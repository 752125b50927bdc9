import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { ClientCapabilities, ServerContext } from '@modelcontextprotocol/server'
import { ToolError } from '../tools/tool-error.ts'
import { accountName } from './account-name.ts'
import { canonical } from './digest.ts'
import type { ClientExchange, ClientRequest, ConnectionNeed, Waiting } from './exchange.ts'
import { untilConnected } from './until-connected.ts'

/** How often a question is asked when its answers do not fit. */
const attempts = 3

/** How long a client may take to answer after it was told that its user is done, in milliseconds. */
const politenessMs = 1_000

/**
 * Asks in the middle of the call, over its stream, as the 2025 revisions do. The handler waits where it asked.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation
 */
export function createSessionExchange(
  { mcpReq }: Pick<ServerContext, 'mcpReq'>,
  { capabilities, timing, stopping }: Waiting & { capabilities: ClientCapabilities },
): ClientExchange {
  const over = AbortSignal.any([mcpReq.signal, stopping])
  const send = (request: ClientRequest, signal: AbortSignal = over): Promise<unknown> =>
    mcpReq.send({ ...request }, { timeout: timing.answerMs, signal })
  const assertGoesOn = () => {
    mcpReq.signal.throwIfAborted()
    if (stopping.aborted) throw new ToolError('The server is stopping. Try again in a moment.')
  }

  /** What the handler was answered, by name of the question: it is not asked again when it runs again. */
  const answers = new Map<string, { question: string; answer: unknown }>()
  let count = 0
  /** Accounts the user was asked for: errors that said so, and names of accounts after which the handler ran again. */
  const mended = new Set<unknown>()
  const more = new Set<string>()

  return {
    capabilities,
    async ask({ id, request, read }) {
      const { params } = request
      const name = id ?? `question_${++count}`
      const question = canonical(request)
      const earlier = answers.get(name)
      const known = earlier?.question === question ? await read(earlier.answer) : undefined
      if (known !== undefined) return known
      for (let attempt = 0; attempt < attempts; attempt++) {
        const answer = await send(
          params?.mode === 'url'
            ? { ...request, params: { ...params, elicitationId: randomUUID() } }
            : request,
        ).catch(cause => {
          assertGoesOn()
          throw Object.assign(new ToolError('Your app did not answer what the tool asked.'), { cause })
        })
        const checked = await read(answer)
        if (checked === undefined) continue
        answers.set(name, { question, answer })
        return checked
      }
      throw new ToolError('Your app gave answers that do not fit what the tool asked.')
    },
    connect,
    async mend(need) {
      const name = accountName(need.error)
      // The user was asked for it where the handler needed it, or by what it threw before, and that did not help.
      if (mended.has(need.error) || mended.has(name)) return false
      mended.add(name)
      await connect(need)
      if (need.connected) more.add(need.error.provider)
      count = 0
      return true
    },
    hasMore: ({ error }) => more.has(error.provider),
    begin: async () => undefined,
    finish: async () => undefined,
  }

  async function connect(need: ConnectionNeed): Promise<void> {
    if (!capabilities.elicitation?.url) throw need.error
    mended.add(need.error)
    const ended = new AbortController()
    try {
      await askToConnect(need, AbortSignal.any([over, ended.signal]))
    } finally {
      ended.abort()
    }
  }

  async function askToConnect(need: ConnectionNeed, signal: AbortSignal): Promise<void> {
    const elicitationId = randomUUID()
    const known = await need.connected?.()
    const params = { mode: 'url', elicitationId, url: await need.link(), message: need.message }
    const answer = send({ method: 'elicitation/create', params }, signal).then(
      result => (result as { action: string }).action,
      () => 'failed',
    )
    const done = untilConnected(need, known, {
      pollMs: timing.pollMs,
      timeoutMs: timing.answerMs,
      signal,
    })
    // Clients answer when their user has agreed to open the link, or when told that the user is done there.
    const outcome = await Promise.race<boolean | string>([
      done,
      answer.then<boolean | string>(action => (action === 'accept' ? done : action)),
    ])
    done.catch(() => {})
    assertGoesOn()
    if (outcome === 'decline' || outcome === 'cancel') {
      throw new ToolError(`${need.label} was not connected, as you decided.`)
    }
    if (outcome !== true) throw need.error
    await mcpReq.notify({ method: 'notifications/elicitation/complete', params: { elicitationId } })
    await Promise.race([answer, pause(politenessMs, undefined, { signal, ref: false }).catch(() => {})])
  }
}
