import {
  type AccessTokenVerifier,
  type Clock,
  ConfigurationError,
  createSealer,
  createSecretRing,
  OAuthError,
  type RandomBytes,
} from '@sallyport/oauth'
import type { GuardedChanges, Listener } from '../calls/changes.ts'
import { createLists, type ListSettings } from '../calls/lists.ts'
import type { CallServices } from '../calls/perform.ts'
import type { Config } from '../config.ts'
import type { ConnectionAsking } from '../elicit/connection-asking.ts'
import { loadSecrets } from '../load-secrets.ts'
import type { Log } from '../log.ts'
import { judgeOperation } from '../operation.ts'
import type { Registry } from '../registry.ts'
import type { Tasks } from '../tasks/tasks.ts'
import { type Caller, type ClientCaller, callerOf } from '../tools/caller.ts'
import type { Admission } from '../tools/sdk-server.ts'
import type { ServerIdentity } from '../tools/server-identity.ts'
import { type StdioHandle, serveOffers } from '../tools/stdio-server.ts'
import { createStdioAccess, isUnavailable, type Lack } from './access.ts'
import { createFileHeldSignIn, createMemoryHeldSignIn, type HeldSignInStore } from './held-sign-in.ts'
import { createLocalClient, type SignInRequest } from './local-client.ts'
import { createLoopbackSignIn } from './loopback-sign-in.ts'
import { createOwnPages, type OwnPages } from './own-pages.ts'
import { createSession } from './session.ts'

/** What a server offers to users of stdio. */
export interface StdioParts {
  identity: ServerIdentity
  config: Config
  registry: Registry
  lists: ListSettings
  services: CallServices
  tasks: Tasks
  asking: ConnectionAsking
  changes: GuardedChanges
  verifier: Pick<AccessTokenVerifier, 'verifyAccessToken'>
  issuer: string
  /** Whether that is this server. */
  isOwnIssuer: boolean
  resource: string
  publicUrl: string
  /** Asked for where a tool needs none in particular. */
  defaultScopes: readonly string[]
  /** Registered at the issuer. Default: registers itself. */
  clientId: string | undefined
  serve: (request: Request, info?: { remoteAddress?: string }) => Promise<Response>
  log: Log
  clock: Clock
  random: RandomBytes
}

const lackWords: Record<Lack, string> = {
  'sign-in': 'Sign in first.',
  scopes: 'This needs more than you allowed.',
  'recent sign-in': 'This needs a sign-in that is not so long ago.',
}

/**
 * Serves over stdio for the user that `SALLYPORT_TOKEN` names, or who signs in through the browser of this machine. Each
 * request is verified anew.
 *
 * @throws {ConfigurationError} when `SALLYPORT_TOKEN` is not good here
 */
export async function startStdio(parts: StdioParts): Promise<StdioHandle> {
  const { identity, config, registry, verifier, resource, log, clock } = parts
  const { hasScopes } = parts.services
  const onError = (error: unknown) => log.warn({ reason: reasonOf(error) }, 'sign-in over stdio failed')
  const verify = (token: string) => verifier.verifyAccessToken(token, resource)
  const pages = createOwnPages({ publicUrl: parts.publicUrl, port: config.port, serve: parts.serve })
  const user =
    config.token === undefined
      ? userOfBrowser(parts, { verify, pages, onError })
      : await userOfToken(config.token, { verify, resource, log })
  const access = createStdioAccess({ ...user, hasScopes, clock, onError })

  const services: CallServices = {
    ...parts.services,
    async connectLink(link) {
      await pages.open()
      return parts.services.connectLink(link)
    },
  }
  let latest: Listener
  let onRenewed = () => {}
  const admit = async (request: object): Promise<Admission> => {
    const admission = await access(judgeOperation(request, registry, false))
    if ('caller' in admission) {
      latest = admission.caller
      onRenewed()
    }
    return admission
  }
  const lists = createLists(registry, services, parts.lists)
  const changes = parts.changes.heardBy({
    caller: () => latest,
    onRenewed(step) {
      onRenewed = step
    },
  })
  const { tasks, asking } = parts
  const handle = serveOffers({ identity, registry, services, lists, tasks }, { changes, admit, asking, log })
  return {
    async close() {
      await handle.close()
      await Promise.all([user.close?.(), pages.close()])
    },
  }
}

/** Whose calls they are, and what they can do about what they lack. */
interface StdioUser {
  caller: () => Promise<Caller | ClientCaller | undefined>
  remedy: (lack: Lack, request: SignInRequest) => Promise<string>
  close?: () => Promise<void>
}

type Verify = (token: string) => ReturnType<AccessTokenVerifier['verifyAccessToken']>

function userOfBrowser(
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

/** @throws {ConfigurationError} when the token is not good here */
async function userOfToken(
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

/** Which failure it was: errors of the OAuth library have the issuer's answer hanging on them, and codes (R188). */
function reasonOf(error: unknown): string {
  if (error instanceof ConfigurationError) return error.message
  if (!(error instanceof Error)) return 'unknown'
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? `${error.name} ${code}` : error.name
}
