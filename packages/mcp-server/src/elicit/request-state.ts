import type { Clock, RandomBytes, Sealer, SingleUseStore } from '@sallyport/oauth'
import { z } from 'zod'
import { principalOf } from '../principal.ts'
import type { Caller, ClientCaller } from '../tools/call-context.ts'
import { canonical, digest } from './digest.ts'

/** How long a client may take to bring a state back, in seconds. */
export const stateSeconds = 600

const text = z.string().min(1)
const stateSchema = z.strictObject({
  id: text,
  expiresAt: z.int(),
  /** An answer in it counts for one run. */
  once: z.boolean(),
  /** By name of the question: what was asked, as a digest, and what the client answered. */
  answers: z.record(z.string(), z.strictObject({ asked: text, answer: z.unknown() })),
  /** Questions of the last round that have no answer yet, as digests. */
  open: z.record(z.string(), text),
  /** The account that the user was asked to connect, and until when that is waited for. */
  connecting: z
    .strictObject({
      provider: text,
      reason: z.enum(['not_connected', 'missing_scope', 'dead', 'another_account']),
      account: text.optional(),
      scopes: z.array(text),
      /** Of one more account: those that were connected before. */
      known: z.array(text).optional(),
      accepted: z.boolean(),
      until: z.int(),
    })
    .optional(),
  /** Accounts that were asked for before in this call, and not again. */
  connected: z.array(text),
  /** Providers of which the user has connected one more account in this call. */
  more: z.array(text).optional(),
  /** What the handler keeps, by name, as JSON. */
  kept: z.array(z.tuple([z.string(), z.string()])).optional(),
})

/** What a call carries from one round to the next, through the client (MCP, multi round-trip requests). */
export type RequestState = z.infer<typeof stateSchema>

/** The state of a call that was not asked anything yet. */
export const emptyState = (): Omit<RequestState, 'id' | 'expiresAt'> => ({
  once: false,
  answers: {},
  open: {},
  connected: [],
})

/** Seals states, and takes them back. */
export interface RequestStates {
  seal(binding: string, state: Omit<RequestState, 'id' | 'expiresAt'>): string
  /** Undefined when it was changed, has ended, was used up, or belongs to another caller or call (R161). */
  open(binding: string, sealed: string): Promise<RequestState | undefined>
}

/** Creates the states of a server. */
export function createRequestStates(options: {
  sealer: Sealer
  tenant: string
  store: SingleUseStore
  clock: Clock
  random: RandomBytes
}): RequestStates {
  const { sealer, tenant, store, clock, random } = options
  const placeOf = (binding: string) => ({ tenant, kind: 'request-state', id: binding })
  const randomText = () => Buffer.from(random(16)).toString('base64url')
  return {
    seal(binding, state) {
      const id = randomText()
      const whole: RequestState = { ...state, id, expiresAt: clock() + stateSeconds }
      return sealer.seal(JSON.stringify(whole), placeOf(binding))
    },
    async open(binding, sealed) {
      const opened = sealer.open(sealed, placeOf(binding))
      const state = opened && stateSchema.safeParse(JSON.parse(opened.plaintext)).data
      const now = clock()
      if (!state || state.expiresAt <= now) return undefined
      if (!state.once) return state
      const claim = await store.claimSingleUse({
        kind: 'request-state',
        idHash: digest(state.id),
        expiresAt: state.expiresAt,
        operationId: randomText(),
        now,
      })
      return claim === 'claimed' ? state : undefined
    },
  }
}

/**
 * What a state is bound to: whose call it is, and of what with which arguments. Everything in `params` that is not about
 * the round itself counts.
 */
export function requestBinding(
  caller: Caller | ClientCaller | undefined,
  method: string,
  { _meta, inputResponses, requestState, ...params }: Record<string, unknown>,
): string {
  return JSON.stringify([1, principalOf(caller), method, digest(canonical(params))])
}
