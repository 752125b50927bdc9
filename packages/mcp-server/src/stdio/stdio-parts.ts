import type { AccessTokenVerifier, Clock, RandomBytes } from '@sallyport/oauth'
import type { GuardedChanges } from '../calls/changes.ts'
import type { ListSettings } from '../calls/lists.ts'
import type { CallServices } from '../calls/perform.ts'
import type { Config } from '../config.ts'
import type { ConnectionAsking } from '../elicit/connection-asking.ts'
import type { Log } from '../log.ts'
import type { Registry } from '../registry.ts'
import type { Tasks } from '../tasks/tasks.ts'
import type { ServerIdentity } from '../tools/server-identity.ts'

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
