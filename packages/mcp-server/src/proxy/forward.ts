import type {
  CallToolResult,
  Client,
  GetPromptResult,
  ReadResourceResult,
} from '@modelcontextprotocol/client'
import { prefixUri } from '../composition/prefix.ts'
import { translateUris } from '../composition/translate-uris.ts'
import { InputPending } from '../elicit/rounds.ts'
import type { AnyCallContext } from '../tools/call-context.ts'
import { hasKnownCause } from '../tools/known-cause.ts'
import { ToolError } from '../tools/tool-error.ts'
import { clean } from './clean.ts'
import { importClient } from './connect-remote.ts'
import type { ProxySettings } from './proxy-options.ts'
import type { RemoteSession } from './remote-session.ts'

/** A request to a remote server, with its options: cancellation, progress and time. */
export type Send<T> = (client: Client, options: SendOptions) => Promise<T>

type SendOptions = NonNullable<Parameters<Client['getPrompt']>[1]>

/** How often a call may be told to be alive: with progress it may last this many times its time. */
const patience = 10

/**
 * Sends one call on. It is cancelled with ours, its progress is told to our client, its time and the size of its result
 * are limited.
 *
 * @throws {ToolError} with what the caller may know when it fails
 */
export async function forward<T>(
  settings: ProxySettings,
  session: RemoteSession,
  context: AnyCallContext,
  send: Send<T>,
): Promise<T> {
  const { signal, progress, request } = context
  const asksForProgress = (request.params._meta as { progressToken?: unknown } | undefined)?.progressToken
  let told = Promise.resolve()
  try {
    const result = await session.use(client =>
      send(client, {
        signal,
        timeout: settings.timeoutMs,
        resetTimeoutOnProgress: true,
        maxTotalTimeout: patience * settings.timeoutMs,
        ...(asksForProgress !== undefined && {
          onprogress({ progress: done, total, message }) {
            const words = message === undefined ? undefined : clean(message, 1_024)
            // In their order, and before the result.
            told = told.then(() => progress(done, total, words)).catch(() => {})
          },
        }),
      }),
    )
    await told
    if (Buffer.byteLength(JSON.stringify(result)) > settings.maxResultBytes) {
      throw new ToolError(`${settings.label} answered more than can be passed on: ask for less.`)
    }
    return result
  } catch (error) {
    if (signal.aborted) throw new ToolError('The call was cancelled.', { cause: error })
    throw await wordsFor(error, settings, context)
  }
}

/** What a caller may know of a failure. What the remote server says of it stays here, but for wrong arguments. */
async function wordsFor(error: unknown, { label }: ProxySettings, { log }: AnyCallContext): Promise<unknown> {
  const { InsufficientScopeError, ProtocolError, SdkError, SdkErrorCode, SdkHttpError, UnauthorizedError } =
    await importClient()
  // What asks the caller for something goes its way.
  if (error instanceof InputPending || hasKnownCause(error)) return error
  if (error instanceof ProtocolError) {
    log.info({ code: error.code, remote: label }, 'the remote server refused a call')
    return error.code === -32602
      ? new ToolError(`${label} refused the arguments: ${clean(error.message, 512)}`, { cause: error })
      : new ToolError(`${label} could not do this (error ${error.code}).`, { cause: error })
  }
  if (error instanceof UnauthorizedError || error instanceof InsufficientScopeError)
    return refused(label, error)
  if (!(error instanceof SdkError) && !isOfNetwork(error)) return error
  const status = error instanceof SdkHttpError ? error.status : undefined
  const code = error instanceof SdkError ? error.code : undefined
  log.warn({ remote: label, status, code }, 'a call to the remote server failed')
  if (status === 401 || status === 403) return refused(label, error)
  if (code === SdkErrorCode.RequestTimeout) {
    return new ToolError(`${label} did not answer in time.`, { cause: error })
  }
  if (code === SdkErrorCode.UnsupportedResultType) {
    return new ToolError(`${label} asks for more input, which cannot be passed on.`, { cause: error })
  }
  return new ToolError(`${label} cannot be reached now. Try again in a moment.`, { cause: error })
}

/**
 * Does some work in a session, and once more in another one where the remote server does not take the token of the
 * first: a token is never changed within a session, for the next one may be of another account (R179).
 */
export async function inSession<T, S extends RemoteSession | undefined>(
  sessionFor: (refused?: RemoteSession) => Promise<S>,
  work: (session: S) => Promise<T>,
): Promise<T> {
  const session = await sessionFor()
  try {
    return await work(session)
  } catch (error) {
    if (!session || !(await isRefusal(error))) throw error
    const next = await sessionFor(session)
    if (next === session) throw error
    return work(next)
  }
}

async function isRefusal(error: unknown): Promise<boolean> {
  const { UnauthorizedError } = await importClient()
  const cause = error instanceof ToolError ? error.cause : error
  return cause instanceof UnauthorizedError
}

const refused = (label: string, cause: unknown) =>
  new ToolError(`${label} does not accept the credentials for this.`, { cause })

/** What `fetch` and a process that cannot be started throw; anything else is a mistake of ours, and logged as one. */
const isOfNetwork = (error: unknown): boolean =>
  error instanceof TypeError || (error instanceof Error && 'code' in error && typeof error.code === 'string')

/** Links to resources of the remote server lead through this one; those that a client can open itself stay. */
const uriHere =
  ({ prefix, resources }: ProxySettings) =>
  (uri: string): string =>
    prefix === undefined || !resources || /^https?:/i.test(uri) ? uri : prefixUri(prefix, uri)

/** A block of content without `_meta`, its own and that of a resource in it. */
function plainBlock<Block extends object>(block: Block): Block {
  const { _meta, ...plain } = block as Record<string, unknown>
  const { resource } = plain
  const whole =
    typeof resource === 'object' && resource !== null ? { ...plain, resource: plainBlock(resource) } : plain
  return whole as Block
}

/** What of a tool's result goes on. `_meta` does not: it speaks to clients in the name of this server. */
export function toolAnswer(settings: ProxySettings, result: CallToolResult): CallToolResult {
  const { content, structuredContent, isError } = result
  return translateUris(
    'tool',
    {
      content: content.map(plainBlock),
      ...(structuredContent !== undefined && { structuredContent }),
      ...(isError && { isError }),
    },
    uriHere(settings),
  ) as CallToolResult
}

/** The same of a prompt. */
export function promptAnswer(settings: ProxySettings, result: GetPromptResult): GetPromptResult {
  const { description, messages } = result
  const answer = {
    ...(description !== undefined && { description }),
    messages: messages.map(({ role, content }) => ({ role, content: plainBlock(content) })),
  }
  return translateUris('prompt', answer, uriHere(settings)) as GetPromptResult
}

/** The same of a resource, whose contents have the URIs that were asked for here. */
export function resourceAnswer(
  { prefix }: ProxySettings,
  { contents }: ReadResourceResult,
): ReadResourceResult {
  return {
    contents: contents.map(({ _meta, uri, ...content }) => ({
      ...content,
      uri: prefix === undefined ? uri : prefixUri(prefix, uri),
    })) as ReadResourceResult['contents'],
  }
}
