import {
  type InputRequiredResult,
  ProtocolError,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/server'
import {
  anotherAccount,
  type ConnectLink,
  type EventSink,
  type SallyportEvent,
  StoreUnavailableError,
} from '@sallyport/oauth'
import { ClientCapabilityError } from '../elicit/client-capability-error.ts'
import type { ClientExchange, NeedOf } from '../elicit/exchange.ts'
import type { Offer } from '../offers.ts'
import { offerName } from '../offers.ts'
import { ConnectionRequiredError, ProviderUnavailableError } from '../provider.ts'
import type { HasScopes } from '../scope-hierarchy.ts'
import type { AccessRule } from '../tools/access-rule.ts'
import type {
  AnyCallContext,
  Call,
  Caller,
  ClientCaller,
  NamedProvider,
  ToolLog,
} from '../tools/call-context.ts'
import { createCallContext } from '../tools/handler-context.ts'
import { knownCause } from '../tools/known-cause.ts'
import { ToolError } from '../tools/tool-error.ts'
import { inCall } from './current-call.ts'

/** What calls of all offers share. */
export interface CallServices {
  providers: ReadonlyMap<string, NamedProvider>
  /** A single-use link with which this user, and nobody else, connects a provider. */
  connectLink(request: ConnectLink): Promise<string>
  hasScopes: HasScopes
  /** Shows callers the message of any error a handler throws, not of `ToolError` only. */
  exposeErrors: boolean
  emit: EventSink
  log: ToolLog & { child(fields: object): ToolLog }
  /** Milliseconds that only go forward, for durations. */
  now(): number
  /** Runs for as long as the call does, so that a server that stops lets it finish (R201). */
  track<T>(work: Promise<T>): Promise<T>
}

/** How a call ended. */
export type Outcome<T> =
  | { readonly value: T; readonly failure?: never }
  /** A text for the caller, and whether it is the caller who may not, rather than the call that failed. */
  | { readonly failure: string; readonly refused?: true }

/**
 * Whom a handler meets. R115: one that was not made for clients by themselves takes every caller for a user; to it,
 * such a client is nobody, and gets what everybody gets.
 */
export const callerFor = (
  rule: AccessRule | undefined,
  caller: Caller | ClientCaller | undefined,
): Caller | ClientCaller | undefined =>
  caller?.principal === 'client' && !rule?.clients ? undefined : caller

/** Whether scopes and kind of caller let a caller through; `allow` is not asked. */
export function mayUse(
  rule: AccessRule | undefined,
  caller: Caller | ClientCaller | undefined,
  hasScopes: HasScopes,
): boolean {
  if (!rule) return true
  return caller ? hasScopes(caller.scopes, rule.scopes) : rule.anonymous
}

/** Whether the predicates of a rule let a caller through; without a promise when there are none. */
export function isAllowed(
  rule: AccessRule | undefined,
  caller: Caller | ClientCaller | undefined,
  input: unknown,
): boolean | Promise<boolean> {
  const allow = rule?.allow
  if (!allow) return true
  return (async () => {
    // Anything but a plain yes is a no.
    for (const ask of allow) if ((await ask(caller, input)) !== true) return false
    return true
  })()
}

/** Whether an offer exists as far as this caller is concerned: always, unless it is hidden. */
export function isVisible(
  { rule, enabled }: Pick<Offer, 'rule' | 'enabled'>,
  caller: Caller | ClientCaller | undefined,
  hasScopes: HasScopes,
): boolean | Promise<boolean> {
  if (!enabled) return false
  if (!rule?.hidden) return true
  const known = callerFor(rule, caller)
  if (!mayUse(rule, known, hasScopes)) return false
  return rule.allow ? isAllowed(rule, known, undefined) : true
}

/** Whether an offer is of no concern to this caller; what asks must then answer as if there were none. */
export async function seesOffer(
  offer: Offer | undefined,
  caller: Caller | ClientCaller | undefined,
  hasScopes: HasScopes,
): Promise<boolean> {
  return offer !== undefined && (await isVisible(offer, caller, hasScopes))
}

/**
 * Runs a handler for one call: asks whether the caller may, gives it its context, and turns whatever it throws into
 * a text that tells nothing of the inside (R189), or into a result that asks the client for input.
 *
 * @param work.input validated
 * @param work.exchange how the client is asked; left out where no answer can ask for anything, such as completions
 * @throws {UrlElicitationRequiredError} when that is how the exchange asks the client
 */
export function perform<T>(
  offer: Offer,
  work: { call: Call; input: unknown; exchange?: never },
  services: CallServices,
  run: (context: AnyCallContext) => T | Promise<T>,
): Promise<Outcome<T>>
export function perform<T>(
  offer: Offer,
  work: { call: Call; input: unknown; exchange: ClientExchange | undefined },
  services: CallServices,
  run: (context: AnyCallContext) => T | Promise<T>,
): Promise<Outcome<T | InputRequiredResult>>
export async function perform<T>(
  offer: Offer,
  { call, input, exchange }: { call: Call; input: unknown; exchange?: ClientExchange | undefined },
  services: CallServices,
  run: (context: AnyCallContext) => T | Promise<T>,
): Promise<Outcome<T | InputRequiredResult>> {
  const caller = callerFor(offer.rule, call.caller)
  const where = offerName(offer)
  // The gate has judged this call already. A second look costs nothing and holds if a way around it is found.
  if (!mayUse(offer.rule, caller, services.hasScopes)) return notSignedIn
  const needOf = createNeedOf(offer, caller, services)
  let log: ToolLog | undefined
  const ownLog = () => {
    log ??= services.log.child({ [offer.kind]: offer.name })
    return log
  }
  try {
    const allowed = isAllowed(offer.rule, caller, input)
    if (allowed !== true && !(await allowed)) return notAllowed
    const context = createCallContext({
      where,
      rule: offer.rule,
      caller,
      providers: services.providers,
      call,
      log: ownLog,
      needOf,
      ...(exchange && { exchange }),
    })
    const waiting = exchange && (await exchange.begin(needOf))
    if (waiting) return { value: waiting }
    const value = await runMending(() => inCall(context, () => run(context)), exchange, needOf)
    return { value: (exchange && (await exchange.finish())) ?? value }
  } catch (error) {
    const cause = knownCause(error)
    if (cause instanceof UrlElicitationRequiredError) throw cause
    // A task can end in an error of the protocol; a call ends in a result.
    if (cause instanceof ProtocolError && call.background) throw cause
    const unanswered = await exchange?.finish(cause)
    if (unanswered) return { value: unanswered }
    const known = await knownFailure(cause, needOf, services)
    if (known !== undefined) return { failure: known }
    // The reason is for the developer; the caller gets nothing of it (R189).
    ownLog().error({ err: error }, `${offer.kind} failed`)
    if (services.exposeErrors && error instanceof Error) return { failure: error.message }
    return { failure: `The ${offer.kind} failed for a reason of its own. The server has logged it.` }
  }
}

/** Runs a handler, and again once the user has connected what it threw that it needs, while the client waits. */
async function runMending<T>(
  run: () => T | Promise<T>,
  exchange: ClientExchange | undefined,
  needOf: NeedOf,
): Promise<T> {
  for (;;) {
    try {
      return await run()
    } catch (error) {
      const cause = knownCause(error)
      const need = cause instanceof ConnectionRequiredError ? needOf(cause) : undefined
      // A tool that adds accounts has done so; one that needs yet another asks when it is called again.
      if (need?.connected && exchange?.hasMore?.(need)) {
        throw new ToolError(`One more ${need.label} account of yours is connected now.`)
      }
      if (!need || !(await exchange?.mend?.(need))) throw error
    }
  }
}

const notSignedIn: Outcome<never> = {
  failure: 'Sign in with the access this needs, then try again.',
  refused: true,
}
const notAllowed: Outcome<never> = { failure: 'You may not do this.', refused: true }

/** Tells of a call that has ended. */
export function report(
  offer: Offer,
  call: Call,
  { startedAt, ok }: { startedAt: number; ok: boolean },
  services: CallServices,
): void {
  const { caller } = call
  const fields = {
    ...(caller && { userId: caller.userId ?? `client:${caller.clientId}` }),
    ok,
    durationMs: Math.round(services.now() - startedAt),
  }
  const { kind, name } = offer
  const event: SallyportEvent =
    kind === 'tool'
      ? { type: 'tool_called', tool: name, ...fields }
      : kind === 'resource'
        ? { type: 'resource_read', resource: name, ...fields }
        : { type: 'prompt_used', prompt: name, ...fields }
  services.emit(event)
}

/** Text for the failures that somebody can do something about. */
async function knownFailure(
  error: unknown,
  needOf: NeedOf,
  services: CallServices,
): Promise<string | undefined> {
  if (error instanceof ToolError || error instanceof ClientCapabilityError) return error.message
  if (error instanceof StoreUnavailableError) return 'The server cannot answer now. Try again in a moment.'
  if (error instanceof ProviderUnavailableError) {
    const { retryAfterSeconds: seconds } = error
    const when =
      seconds === undefined ? 'in a moment' : `in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}`
    return `${labelOf(error.provider, services)} cannot be reached now. Try again ${when}.`
  }
  const need = error instanceof ConnectionRequiredError ? needOf(error) : undefined
  return need && `${need.message} Open this link in a browser, then try again: ${await need.link()}`
}

/** What links can mend: accounts of a signed-in user, at providers of this server. */
const createNeedOf =
  (offer: Offer, caller: Caller | ClientCaller | undefined, services: CallServices): NeedOf =>
  error => {
    const provider = services.providers.get(error.provider)
    if (caller?.principal !== 'user' || !provider) return undefined
    const { userId } = caller
    const { connected, label } = provider
    const { account } = error
    const which = account !== undefined && { account }
    const scopes = [...new Set([...(offer.rule?.providers.get(error.provider) ?? []), ...error.scopes])]
    const need = {
      error,
      label,
      message: why[error.reason](label),
      link: () => services.connectLink({ userId, providerId: error.provider, scopes, ...which }),
    }
    if (account !== anotherAccount) {
      return { ...need, isConnected: () => connected.isConnected(userId, scopes, account) }
    }
    if (connected.login.hasOneAccount) {
      throw new ToolError(`Only one ${label} account of yours can be connected here.`)
    }
    /** Accounts that work, but for those that are known. */
    const others = async (known: readonly string[] = []) => {
      const accounts = await connected.accounts(userId)
      const ids = accounts.map(({ id }) => id).filter(id => !known.includes(id))
      const works = await Promise.all(ids.map(id => connected.isConnected(userId, scopes, id)))
      return ids.filter((_, i) => works[i])
    }
    return {
      ...need,
      connected: () => others(),
      isConnected: async known => (await others(known)).length > 0,
    }
  }

const why: Record<ConnectionRequiredError['reason'], (label: string) => string> = {
  not_connected: label => `Your ${label} account is not connected.`,
  missing_scope: label => `Your ${label} account has not allowed what this needs.`,
  another_account: label => `This needs one more ${label} account of yours.`,
  dead: label => `The connection to your ${label} account has ended.`,
}

const labelOf = (id: string, { providers }: CallServices) => providers.get(id)?.label ?? id
