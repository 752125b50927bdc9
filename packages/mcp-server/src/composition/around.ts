import { ConfigurationError } from '@sallyport/oauth'
import type { CallFilter, CallKind, CallMiddleware, MiddlewareCall } from './call-middleware.ts'
import { fitsAny } from './name-pattern.ts'

/**
 * Goes through all middleware of an offer.
 *
 * @param handle what the handler returns
 * @param settle makes a result of what a handler may return, or throws; what it made it takes as it is
 */
export type Around = (
  call: MiddlewareCall,
  handle: () => unknown,
  settle: (value: unknown) => unknown,
) => Promise<unknown>

/** Middleware, and what it stands around. */
export interface Layer {
  readonly kinds: readonly CallKind[] | undefined
  readonly names: readonly string[] | undefined
  readonly run: CallMiddleware
}

/** Middleware that is known to fit an offer, and the name of the offer on the server that has it. */
export interface NamedLayer {
  readonly layer: Layer
  readonly name: string
}

const callKinds: readonly CallKind[] = ['tool', 'resource', 'prompt', 'completion']

/**
 * Checks what `server.use` was given.
 *
 * @throws {ConfigurationError} when it is no middleware, or its filter is none
 */
export function layerOf(filter: CallFilter, run: unknown): Layer {
  if (typeof run !== 'function') {
    throw new ConfigurationError('server.use takes a function (call, next) => … around calls.')
  }
  if (run.length > 2) {
    throw new ConfigurationError(
      'server.use takes a function of two parameters, (call, next) => … around calls; middleware around HTTP is that of Hono, with a path in front: server.use("/*", …).',
    )
  }
  const { kind, name, ...unknown } = filter
  const kinds = kind === undefined ? undefined : [kind].flat()
  const names = name === undefined ? undefined : [name].flat()
  const [key] = Object.keys(unknown)
  if (key !== undefined) {
    throw new ConfigurationError(`server.use does not know "${key}": filter calls by kind and name.`)
  }
  if (kinds && !(kinds.length > 0 && kinds.every(each => callKinds.includes(each)))) {
    throw new ConfigurationError(`The kind of server.use must be one or more of ${callKinds.join(', ')}.`)
  }
  if (names && !(names.length > 0 && names.every(each => typeof each === 'string' && each !== ''))) {
    throw new ConfigurationError('The name of server.use must be one or more names, or patterns with *.')
  }
  return { kinds, names, run: run as CallMiddleware }
}

/** Kinds of calls that go to an offer. */
export const callKindsOf = (kind: 'tool' | 'resource' | 'prompt'): readonly CallKind[] =>
  kind === 'tool' ? ['tool'] : [kind, 'completion']

/** Whether middleware stands around some calls of an offer. */
export const concerns = (
  { kinds, names }: Layer,
  offer: { kind: 'tool' | 'resource' | 'prompt'; name: string },
): boolean =>
  (kinds === undefined || callKindsOf(offer.kind).some(kind => kinds.includes(kind))) &&
  (names === undefined || fitsAny(names, offer.name))

/** One function of all middleware around an offer, the first one outermost; undefined when there is none. */
export function composeLayers(layers: readonly NamedLayer[]): Around | undefined {
  if (layers.length === 0) return undefined
  return (call, handle, settle) => {
    const fitting = layers.filter(({ layer }) => layer.kinds?.includes(call.kind) ?? true)
    const from = async (index: number): Promise<unknown> => {
      const named = fitting[index]
      if (!named) return settle(await handle())
      let given: unknown
      const next = async () => {
        given = await from(index + 1)
        return given as never
      }
      const run = named.layer.run as CallMiddleware<CallKind>
      const answer: unknown = await run(named.name === call.name ? call : { ...call, name: named.name }, next)
      // Only a resource may turn out not to be there.
      if (answer === undefined && !(call.kind === 'resource' && given === undefined)) {
        throw new Error(
          `Middleware around ${call.kind} "${named.name}" returned nothing: return what next() gives.`,
        )
      }
      return answer === given ? answer : settle(answer)
    }
    return from(0)
  }
}
