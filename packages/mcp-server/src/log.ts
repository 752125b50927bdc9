import {
  type Clock,
  createEventEmitter,
  type EventSink,
  type RecordedEventSink,
  type SallyportEvent,
} from '@sallyport/oauth'
import { type DestinationStream, destination, type Logger, pino } from 'pino'
import { PinoPretty } from 'pino-pretty'
import type { LogLevel } from './config.ts'
import { redact } from './redact.ts'
import { signInAdvice } from './sign-in-advice.ts'
import type { ToolLog } from './tools/call-context.ts'

/** What the framework needs of a logger; pino's has it. */
export interface Log extends ToolLog {
  child(fields: object): ToolLog
}

/** Fields that may hold a secret wherever they turn up, for what tools log themselves (R188). */
const secretFields = [
  'authorization',
  'dpop',
  'cookie',
  'token',
  'access_token',
  'accessToken',
  'refresh_token',
  'refreshToken',
  'id_token',
  'idToken',
  'code',
  'code_verifier',
  'state',
  'secret',
  'client_secret',
  'clientSecret',
  'password',
]

/** Lines for a person at a terminal. */
const readableLines = (): DestinationStream =>
  PinoPretty({
    destination: 2,
    sync: true,
    singleLine: true,
    ignore: 'pid,hostname,name,event',
    translateTime: 'SYS:HH:MM:ss',
    messageFormat: '{if event}{event} {end}{msg}',
  })

/**
 * The server's log: one JSON object a line, on stderr, because stdout is the protocol channel over stdio.
 *
 * @param options `readable`: lines for a person instead of JSON. Default false
 * @param to default stderr
 */
export const createLogger = (
  options: { name: string; level: LogLevel; readable?: boolean },
  to?: DestinationStream,
): Logger =>
  pino(
    {
      name: options.name,
      level: options.level,
      redact: {
        paths: secretFields.flatMap(name => [name, `*.${name}`, `*.*.${name}`]),
        censor: '[redacted]',
      },
      serializers: { err: describeError, error: describeError },
    },
    to ?? (options.readable ? readableLines() : destination({ dest: 2, sync: true })),
  )

/** How many causes of an error are logged: chains of other people's errors may be long, or have no end. */
const maxCauses = 8

/** What of an error is logged: its kind, its redacted text and where it arose. */
export function describeError(
  error: unknown,
  causes: number = maxCauses,
): {
  name: string
  message: string
  at?: string[]
  cause?: unknown
} {
  if (!(error instanceof Error)) return { name: typeof error, message: redact(String(error)) }
  const frames = (error.stack ?? '')
    .replace(error.message, '')
    .split('\n')
    .filter(line => /^\s+at /.test(line))
  return {
    name: error.name,
    message: redact(error.message),
    at: frames.slice(0, 8).map(line => line.trim().slice(0, 200)),
    ...(error.cause === undefined || causes === 0 ? {} : { cause: describeError(error.cause, causes - 1) }),
  }
}

/** What happens all the time is debug, what an operator should look at is warn. */
const levels: Partial<Record<SallyportEvent['type'], 'debug' | 'warn' | 'error'>> = {
  consent_shown: 'debug',
  token_rotated: 'debug',
  token_replayed_in_grace: 'debug',
  connection_refreshed: 'debug',
  scope_challenged: 'debug',
  tool_called: 'debug',
  session_opened: 'debug',
  session_ended: 'debug',
  session_refused: 'warn',
  request_state_refused: 'warn',
  resource_read: 'debug',
  prompt_used: 'debug',
  code_replayed: 'warn',
  refresh_token_reused: 'warn',
  dpop_proof_replayed: 'warn',
  client_authentication_failed: 'warn',
  connection_refresh_failed: 'warn',
  circuit_opened: 'warn',
  connection_expiring: 'warn',
  upstream_revocation_failed: 'warn',
  security_event_received: 'warn',
  security_event_refused: 'warn',
  limit_hit: 'warn',
  suspicious_activity: 'warn',
  store_write_unconfirmed: 'warn',
  store_unavailable: 'error',
  request_failed: 'error',
}

/**
 * Makes what all parts tell their events to: the log, and the sinks of the deployer. A sink that throws harms nobody;
 * the log says so.
 */
export function createEventSink(
  log: ToolLog,
  { clock, sinks = [] }: { clock: Clock; sinks?: readonly RecordedEventSink[] },
): EventSink {
  const write: RecordedEventSink = event => {
    const { type, at: _, ...fields } = event
    const advice = signInAdvice(event)
    if (advice === undefined) log[levels[type] ?? 'info']({ event: type, ...fields })
    else log.warn({ event: type, ...fields }, advice)
  }
  const emit = createEventEmitter([write, ...sinks], {
    clock,
    onSinkError: error => log.error({ err: error }, 'an event could not be told to the audit log or onEvent'),
  })
  if (sinks.length > 0) return emit
  const { isLevelEnabled } = log as { isLevelEnabled?: (level: string) => boolean }
  // Calls are many: an event that nobody would be told is not put together.
  return event => {
    if (levels[event.type] !== 'debug' || isLevelEnabled?.call(log, 'debug') !== false) emit(event)
  }
}
