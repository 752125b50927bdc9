import {
  type ClientCapabilities,
  type InputRequest,
  type InputRequiredResult,
  inputRequired,
} from '@modelcontextprotocol/server'
import type { Clock } from '@sallyport/oauth'
import { ConnectionRequiredError } from '../provider.ts'
import { ToolError } from '../tools/tool-error.ts'
import { accountName } from './account-name.ts'
import { ClientCapabilityError } from './client-capability-error.ts'
import { canonical, digest } from './digest.ts'
import type { ClientExchange, ConnectionNeed, NeedOf, Question, Waiting } from './exchange.ts'
import { emptyState, type RequestState } from './request-state.ts'
import { settled } from './settled.ts'
import { untilConnected } from './until-connected.ts'

/** Ends a run of a handler whose question goes to the client: what it waits for comes with the next run. */
export class InputPending extends Error {
  override readonly name = 'InputPending'
  constructor() {
    super('The client is being asked; the call runs again with its answer.')
  }
}

/** One round of a call as the client sent it. */
export interface Round extends Waiting {
  capabilities: ClientCapabilities
  /** What the client brought back, opened; undefined in the first round. */
  state: RequestState | undefined
  /** Untrusted, and of any shape. */
  responses: Readonly<Record<string, unknown>>
  signal: AbortSignal
  seal(state: Omit<RequestState, 'id' | 'expiresAt'>): string
  clock: Clock
}

/**
 * Asks by results that require input (2026-07-28): the handler runs again from its beginning, and gets at once what was
 * answered before. An answer counts for the very question it was given to: a handler that asks something else under the
 * same name asks anew. Where a question lets answers come beforehand, they come with the call itself.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
 */
export function createRoundsExchange(round: Round): ClientExchange {
  const { capabilities, state, responses, clock, timing } = round
  const next = {
    ...emptyState(),
    once: state?.once ?? false,
    answers: { ...state?.answers },
    connected: [...(state?.connected ?? [])],
    more: [...(state?.more ?? [])],
  }
  const kept = new Map(state?.kept)
  /** What goes to the client, to come back with the next round. */
  const sealed = (more: Pick<RequestState, 'connecting'> = {}) =>
    round.seal({ ...next, ...(kept.size > 0 && { kept: [...kept] }), ...more })
  const asked = new Map<string, InputRequest>()
  const names = new Set<string>()
  let count = 0
  let missing: ConnectionNeed | undefined
  let needOf: NeedOf = () => undefined

  const given = (name: string, question: string, beforehand: boolean): unknown => {
    if (!state) return beforehand && Object.hasOwn(responses, name) ? responses[name] : undefined
    const earlier = Object.hasOwn(state.answers, name) ? state.answers[name] : undefined
    if (earlier?.asked === question) return earlier.answer
    const isOpen = Object.hasOwn(state.open, name) && state.open[name] === question
    return isOpen && Object.hasOwn(responses, name) ? responses[name] : undefined
  }

  const ask = async <Answer>({ id, once, beforehand, request, read }: Question<Answer>): Promise<Answer> => {
    const name = id ?? `question_${++count}`
    if (names.has(name)) throw new Error(`The call asks two questions named "${name}": give them other ids.`)
    names.add(name)
    const question = digest(canonical(request))
    const answer = given(name, question, beforehand === true)
    next.once ||= once === true
    if (answer !== undefined) {
      // Before it is read: another question may end this run meanwhile.
      next.answers[name] = { asked: question, answer }
      const checked = await read(answer)
      if (checked !== undefined) return checked
    }
    delete next.answers[name]
    next.open[name] = question
    asked.set(name, request as InputRequest)
    throw new InputPending()
  }

  const connect = async (need: ConnectionNeed): Promise<void> => {
    const isAskedAgain = next.connected.includes(accountName(need.error))
    if (!capabilities.elicitation?.url || isAskedAgain) throw need.error
    missing ??= need
    throw new InputPending()
  }

  return {
    capabilities,
    kept,
    ask: question => settled(ask(question)),
    connect: need => settled(connect(need)),
    isAsking: () => asked.size > 0 || missing !== undefined,
    hasMore: ({ error }) => next.more.includes(error.provider),
    async begin(findNeed) {
      needOf = findNeed
      const connecting = state?.connecting
      if (!state || !connecting) return undefined
      const { provider, reason, scopes, account, known, until } = connecting
      const need = needOf(new ConnectionRequiredError(provider, reason, scopes, account))
      const action = connecting.accepted ? 'accept' : actionOf(responses[connectName(provider)])
      // No answer, or none that can be read: the handler runs into the same need and the user is asked again.
      if (!need || !action) return undefined
      if (action !== 'accept') throw new ToolError(`${need.label} was not connected, as you decided.`)
      const { pollMs, roundMs: timeoutMs } = timing
      const signal = AbortSignal.any([round.signal, round.stopping])
      const isDone = await untilConnected(need, known, { pollMs, timeoutMs, signal })
      if (!isDone && clock() < until) {
        const { id: _, expiresAt: __, ...rest } = state
        return inputRequired({
          requestState: round.seal({ ...rest, connecting: { ...connecting, accepted: true } }),
        })
      }
      next.connected.push(accountName(need.error))
      if (isDone && known) next.more.push(provider)
      return undefined
    },
    async finish(error): Promise<InputRequiredResult | undefined> {
      if (error instanceof ConnectionRequiredError) {
        const need = needOf(error)
        if (need) await connect(need).catch(() => {})
      }
      if (missing) {
        const { error: reason, message } = missing
        const { provider, scopes, account } = reason
        asked.set(connectName(provider), inputRequired.elicitUrl({ message, url: await missing.link() }))
        const known = await missing.connected?.()
        const until = clock() + timing.answerMs / 1_000
        const connecting = {
          provider,
          reason: reason.reason,
          scopes: [...scopes],
          ...(account !== undefined && { account }),
          ...(known && { known: [...known] }),
          accepted: false,
          until,
        }
        return inputRequired({
          inputRequests: Object.fromEntries(asked),
          requestState: sealed({ connecting }),
        })
      }
      if (asked.size > 0) {
        return inputRequired({
          inputRequests: Object.fromEntries(asked),
          requestState: sealed(),
        })
      }
      // The SDK answers what the client cannot do with -32021 and the capability that is missing.
      if (error instanceof ClientCapabilityError) {
        return inputRequired({ inputRequests: { [error.capability]: error.request as InputRequest } })
      }
      return undefined
    },
  }
}

const connectName = (provider: string) => `connect_${provider}`

function actionOf(response: unknown): 'accept' | 'decline' | 'cancel' | undefined {
  const action = typeof response === 'object' && response !== null && 'action' in response && response.action
  return action === 'accept' || action === 'decline' || action === 'cancel' ? action : undefined
}
