import { ConfigurationError, createSealer, createSecretRing, OAuthError } from '@sallyport/oauth'
import { loadSecrets } from '../load-secrets.ts'
import type { Log } from '../log.ts'
import { type Caller, type ClientCaller, callerOf } from '../tools/caller.ts'
import { isUnavailable, type Lack } from './access.ts'
import { createFileHeldSignIn, createMemoryHeldSignIn, type HeldSignInStore } from './held-sign-in.ts'
import { createLocalClient, type SignInRequest } from './local-client.ts'
import { createLoopbackSignIn } from './loopback-sign-in.ts'
import type { OwnPages } from './own-pages.ts'
import { createSession } from './session.ts'
import type { StdioParts } from './stdio-parts.ts'

/** Whose calls they are, and what they can do about what they lack. */
export interface StdioUser {
  caller: () => Promise<Caller | ClientCaller | undefined>
  remedy: (lack: Lack, request: SignInRequest) => Promise<string>
  close?: () => Promise<void>
}

type Verify = (token: string) => ReturnType<StdioParts['verifier']['verifyAccessToken']>

/** The user signs in through the browser of this machine. */
export function userOfBrowser(
  parts: StdioParts,
  { verify, pages, onError }: { verify: Verify; pages: OwnPages; onError: (error: unknown) => void },
): StdioUser {
  const { clock, isOwnIssuer } = parts
  const client = createLocalClient({
    issuer: parts.issuer,
    resource: parts.resource,
    clientId: parts.clientId,
    clientName: `${parts.identity.info.title ?? parts.identity.info.name} (on this computer)`,
    // Our own authorization server is in this process.
    fetch: (url, init) => (isOwnIssuer ? parts.serve(new Request(url, init)) : fetch(url, init)),
    clock,
  })
  const session = createSession({ store: heldSignIn(parts), client, verify, clock })
  const signIn = createLoopbackSignIn({ client, accept: session.accept, clock, onError })
  return {
    caller: session.caller,
    async remedy(lack, request) {
      if (isOwnIssuer) await pages.open()
      const link = await signIn.link(withDefaults(request, parts.defaultScopes))
      return `${lackWords[lack]} Open this link in a browser on this computer, then try again: ${link}`
    },
    close: () => signIn.close(),
  }
}

/**
 * The user that an access token names.
 *
 * @throws {ConfigurationError} when the token is not good here
 */
export async function userOfToken(
  token: string,
  { verify, resource, log }: { verify: Verify; resource: string; log: Log },
): Promise<StdioUser> {
  const caller = async () => {
    try {
      return callerOf(await verify(token))
    } catch (error) {
      if (error instanceof OAuthError && error.code === 'invalid_token') return undefined
      throw error
    }
  }
  const isGood = await caller().then(Boolean, error => {
    if (!isUnavailable(error)) throw error
    log.warn('SALLYPORT_TOKEN cannot be verified now; calls try again')
    return true
  })
  if (!isGood) {
    throw new ConfigurationError(
      `SALLYPORT_TOKEN is no access token for ${resource}, or has ended: set a new one, or remove it to sign in through the browser.`,
    )
  }
  return { caller, remedy: async lack => tokenWords[lack] }
}

const lackWords: Record<Lack, string> = {
  'sign-in': 'Sign in first.',
  scopes: 'This needs more than you allowed.',
  'recent sign-in': 'This needs a sign-in that is not so long ago.',
}

const tokenWords: Record<Lack, string> = {
  'sign-in':
    'The access token in SALLYPORT_TOKEN has ended or was revoked: set a new one and start the server again.',
  scopes:
    'The access token in SALLYPORT_TOKEN does not allow this: set one with the scopes it needs and start the server again.',
  'recent sign-in':
    'The access token in SALLYPORT_TOKEN is of a sign-in too long ago: set a new one and start the server again.',
}

function heldSignIn({ config, issuer, resource, random, log }: StdioParts): HeldSignInStore {
  if (config.sessionProvider === 'memory') return createMemoryHeldSignIn()
  const secrets = loadSecrets(config, path => log.warn({ path }, 'made a development secret'))
  const { directory, sandbox: tenant } = config
  return createFileHeldSignIn(
    { directory, tenant, issuer, resource },
    createSealer(createSecretRing(secrets), random),
  )
}

const withDefaults = (request: SignInRequest, scopes: readonly string[]): SignInRequest =>
  request.scopes.length > 0 ? request : { ...request, scopes }
