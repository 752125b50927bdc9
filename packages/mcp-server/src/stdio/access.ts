import { type Clock, ConfigurationError, OAuthError, StoreUnavailableError } from '@sallyport/oauth'
import type { Operation } from '../operation.ts'
import type { HasScopes } from '../scope-hierarchy.ts'
import { type Caller, type ClientCaller, isRecent } from '../tools/caller.ts'
import type { Admission } from '../tools/sdk-server.ts'
import type { SignInRequest } from './local-client.ts'

/** Stands before every operation over stdio, as the bearer gate does over HTTP. */
export type StdioAccess = (operation: Operation) => Promise<Admission>

/** What a caller lacks that a sign-in would bring. */
export type Lack = 'sign-in' | 'scopes' | 'recent sign-in'

/**
 * Creates the access of whoever is signed in.
 *
 * @param options.caller who is signed in, verified now; undefined: nobody
 * @param options.remedy what to tell the user, who lacks something that a sign-in for this request would bring
 */
export function createStdioAccess(options: {
  caller: () => Promise<Caller | ClientCaller | undefined>
  remedy: (lack: Lack, request: SignInRequest) => Promise<string>
  hasScopes: HasScopes
  clock: Clock
  onError: (error: unknown) => void
}): StdioAccess {
  const { remedy, hasScopes, clock, onError } = options

  function lackOf(operation: Operation, caller: Caller | ClientCaller | undefined): Lack | undefined {
    if (!caller) return operation.needsCaller ? 'sign-in' : undefined
    if (!isRecent(caller, operation.maxAgeSeconds, clock())) return 'recent sign-in'
    return hasScopes(caller.scopes, operation.scopes) ? undefined : 'scopes'
  }

  return async operation => {
    let caller: Caller | ClientCaller | undefined
    try {
      caller = await options.caller()
    } catch (error) {
      // What anybody may use needs nobody.
      if (!operation.needsCaller) return { caller: undefined }
      onError(error)
      return { problem: 'Your sign-in cannot be checked now. Try again in a moment.' }
    }
    // R115: no sign-in would make it a user.
    if (caller?.principal === 'client' && !operation.allowsClients) {
      return { problem: 'This is for signed-in users, and SALLYPORT_TOKEN is of a client by itself.' }
    }
    const lack = lackOf(operation, caller)
    if (lack === undefined) return { caller }
    try {
      const scopes = [...new Set([...(caller?.scopes ?? []), ...operation.scopes])]
      return { problem: await remedy(lack, { scopes, maxAgeSeconds: operation.maxAgeSeconds }) }
    } catch (error) {
      onError(error)
      const isOurs = error instanceof ConfigurationError
      return {
        problem: isOurs ? error.message : 'The sign-in cannot be reached now. Try again in a moment.',
      }
    }
  }
}

/** Whether a failure of verification means that nobody can know now. */
export const isUnavailable = (error: unknown): boolean =>
  error instanceof StoreUnavailableError ||
  (error instanceof OAuthError && error.code === 'temporarily_unavailable')
