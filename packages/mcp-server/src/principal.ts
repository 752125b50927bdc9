import type { Caller, ClientCaller } from './tools/call-context.ts'

/**
 * Whose something is, as one text: a user through one client, a client by itself, or anybody. What is kept from one
 * request to the next is bound to it, and never to an id that a request brings (R160).
 */
export const principalOf = (caller: Caller | ClientCaller | undefined): string =>
  JSON.stringify(caller ? [caller.principal, caller.userId ?? '', caller.clientId] : ['anybody'])

/** Nobody in particular: callers who are not signed in. */
export const anybody: string = principalOf(undefined)
