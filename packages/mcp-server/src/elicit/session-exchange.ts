import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { ClientCapabilities, ServerContext } from '@modelcontextprotocol/server'
import { ToolError } from '../tools/tool-error.ts'
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

  return {
    capabilities,
    async ask({ request, read }) {
      const { params } = request
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
        if (checked !== undefined) return checked
      }
      throw new ToolError('Your app gave answers that do not fit what the tool asked.')
    },
    async connect(need) {
      if (!capabilities.elicitation?.url) throw need.error
      const ended = new AbortController()
      try {
        await connect(need, AbortSignal.any([over, ended.signal]))
      } finally {
        ended.abort()
      }
    },
    begin: async () => undefined,
    finish: async () => undefined,
  }

  async function connect(need: ConnectionNeed, signal: AbortSignal): Promise<void> {
    const elicitationId = randomUUID()
    const params = { mode: 'url', elicitationId, url: await need.link(), message: need.message }
    const answer = send({ method: 'elicitation/create', params }, signal).then(
      result => (result as { action: string }).action,
      () => 'failed',
    )
    const done = untilConnected(need, { pollMs: timing.pollMs, timeoutMs: timing.answerMs, signal })
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
