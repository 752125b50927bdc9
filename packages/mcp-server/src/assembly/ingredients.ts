import type { ServerEventBus } from '@modelcontextprotocol/server'
import type { Clock, EventSink, RandomBytes, Store } from '@sallyport/oauth'
import type { ListSettings } from '../calls/lists.ts'
import type { Config } from '../config.ts'
import type { ExchangeTiming } from '../elicit/exchange.ts'
import type { Environment } from '../environment.ts'
import type { ExternalIssuer } from '../external-issuer.ts'
import type { InBandChallenges } from '../in-band-challenge.ts'
import type { InFlight } from '../in-flight.ts'
import type { Log } from '../log.ts'
import type { Provider, SignIn } from '../provider.ts'
import type { Registry } from '../registry.ts'
import type { HasScopes } from '../scope-hierarchy.ts'
import type { SessionOptions } from '../sessions/sessions.ts'
import type { SignInOptions } from '../sign-in.ts'
import type { TaskOptions } from '../tasks/task-options.ts'
import type { ServerIdentity } from '../tools/server-identity.ts'

/** What a server is made of. */
export interface Ingredients {
  identity: ServerIdentity
  config: Config
  environment: Environment
  registry: Registry
  lists: ListSettings
  /** What `server.notify` tells. */
  changes: ServerEventBus
  leanCalls: boolean
  exposeErrors: boolean
  /** Who issues the tokens. Undefined: this server. */
  issuer: string | ExternalIssuer | undefined
  signIn: SignIn | undefined
  providers: readonly Provider[]
  settings: SignInOptions
  /** Default: what the configuration names. */
  store: Store | undefined
  allowedHosts: readonly string[]
  allowedOrigins: readonly string[]
  /** Default: as soon as something is protected and nothing is open to everybody. */
  challengeOnConnect: boolean | undefined
  inBandChallenges: InBandChallenges
  maxBodyBytes: number
  sessions: SessionOptions
  timing: Partial<ExchangeTiming>
  tasks: TaskOptions
  log: Log
  emit: EventSink
  clock: Clock
  random: RandomBytes
  inFlight: InFlight
}

/** Where a server is reached, and what follows from that and from its options alone. */
export interface Premises {
  publicUrl: string
  /** The MCP endpoint: what access tokens are for. */
  resource: string
  /** The server as users read it. */
  serverName: string
  hasScopes: HasScopes
}
