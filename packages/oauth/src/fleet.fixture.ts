import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Admin } from './admin.ts'
import { type ClientRequests, clientRequests, issuer } from './authorization-server.fixture.ts'
import type { SallyportEvent } from './events.ts'
import type { SigningKeyRotation } from './keys/signing-key-rotation.ts'
import type { Lifetimes } from './options.ts'
import type { RedisStoreOptions } from './storage/redis-store.ts'

/** Authorization servers in processes of their own, on one Redis: what a deployment is, without its ports. */

export interface FleetSettings {
  redis: Omit<RedisStoreOptions, 'onEvent' | 'onWarning'>
  /** Default: that of every fixture. */
  secrets?: string[]
  /** Seconds since the epoch at which its clock stands still. Default: the clock of the machine. */
  startAt?: number
  lifetimes?: Partial<Lifetimes>
  signingKeyRotation?: Partial<SigningKeyRotation>
}

export type TokenState = 'live' | 'refused' | 'unavailable'

/** An answer over HTTP, and how long it took the server, without the time in which the machine did not let it run. */
export interface FleetAnswer {
  status: number
  retryAfter: string | null
  body: Record<string, string>
  elapsedMs: number
}

export type AdminStep = Exclude<keyof Admin, 'stats'>

type Question =
  | {
      do: 'post'
      path: string
      body: Record<string, string>
      headers: Record<string, string>
      isGated: boolean
    }
  | { do: 'get'; url: string }
  | { do: 'verify'; access: string }
  | { do: 'admin'; step: AdminStep; of: string[]; isGated: boolean }
  | { do: 'setTime'; now: number }
  | { do: 'events' }
export type FleetCall = Question & { id: number }
export type FleetReply =
  | { id: number; result: unknown }
  | { id: number; failure: string }
  | { parked: number; request: number; step: string }

/** A request that waits before a step on the store, and what lets that step happen. */
export interface ParkedRequest {
  /** Counts the requests of all processes, in the order they were sent in. */
  readonly request: number
  readonly step: string
  go(): void
}

/** One process. What clients ask of it is answered as soon as it can be. */
export interface FleetProcess extends ClientRequests<FleetAnswer> {
  /** The same; each step on the store waits for `ParkedRequest.go`. */
  readonly gated: ClientRequests<FleetAnswer> & Pick<FleetProcess, 'admin'>
  /** Called whenever a gated request has come to a step. */
  onParked: (request: ParkedRequest) => void
  verify(access: string): Promise<{ state: TokenState; elapsedMs: number }>
  /** Resolves to what the operator is told. */
  admin(step: AdminStep, ...of: string[]): Promise<unknown>
  getJwks(): Promise<unknown>
  setTime(now: number): Promise<void>
  events(): Promise<SallyportEvent[]>
  close(): Promise<void>
}

const main = fileURLToPath(new URL('fleet-main.fixture.ts', import.meta.url))
let calls = 0

/** Starts one process with the clients of every fixture, and waits until it serves. */
export async function startFleetProcess(settings: FleetSettings): Promise<FleetProcess> {
  const child = fork(main, {
    execArgv: ['--conditions=sallyport-source', '--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      FLEET: JSON.stringify(settings),
    },
  })
  const waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>()
  let complaints = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    complaints += chunk
  })
  const exited = once(child, 'exit').then(([code, signal]) => {
    const error = new Error(`a process of the fleet stopped with ${code ?? signal}: ${complaints}`)
    for (const { reject } of waiting.values()) reject(error)
    return error
  })
  const heard = <T>(id: number) =>
    new Promise<T>((resolve, reject) => waiting.set(id, { resolve, reject })).finally(() =>
      waiting.delete(id),
    )
  const ask = <T>(question: Question): Promise<T> => {
    const id = ++calls
    const answer = heard<T>(id)
    child.send({ ...question, id } satisfies FleetCall)
    return answer
  }
  const requests = (isGated: boolean): FleetProcess['gated'] => ({
    ...clientRequests<FleetAnswer>((path, body, headers) =>
      ask({ do: 'post', path, body, headers, isGated }),
    ),
    admin: (step, ...of) => ask({ do: 'admin', step, of, isGated }),
  })

  const fleetProcess: FleetProcess = {
    ...requests(false),
    gated: requests(true),
    onParked: ({ go }) => go(),
    verify: access => ask({ do: 'verify', access }),
    getJwks: () => ask({ do: 'get', url: `${issuer}/oauth/jwks` }),
    setTime: now => ask({ do: 'setTime', now }),
    events: () => ask({ do: 'events' }),
    async close() {
      if (child.connected) child.disconnect()
      await exited
    },
  }
  child.on('message', (reply: FleetReply) => {
    if ('parked' in reply) {
      const { parked, request, step } = reply
      fleetProcess.onParked({ request, step, go: () => void child.send({ go: parked }) })
    } else if ('failure' in reply) waiting.get(reply.id)?.reject(new Error(reply.failure))
    else waiting.get(reply.id)?.resolve(reply.result as never)
  })
  await heard(0)
  return fleetProcess
}
