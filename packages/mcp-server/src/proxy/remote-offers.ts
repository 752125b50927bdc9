import type { Prompt as PromptListing, Tool as ToolListing } from '@modelcontextprotocol/server'
import { fitsPattern } from '../composition/name-pattern.ts'
import { prefixName } from '../composition/prefix.ts'
import type { Prompt } from '../prompts/define-prompt.ts'
import type { FixedResource, TemplateResource } from '../resources/define-resource.ts'
import type { CompiledSchema } from '../schemas/schema.ts'
import type { AnyCallContext } from '../tools/call-context.ts'
import type { Tool } from '../tools/define-tool.ts'
import { ToolError } from '../tools/tool-error.ts'
import { forward, inSession, promptAnswer, resourceAnswer, type Send, toolAnswer } from './forward.ts'
import { type ProxySettings, ruleFor } from './proxy-options.ts'
import type { RemoteLink } from './remote-link.ts'
import type { RemoteSession } from './remote-session.ts'

/** Offers whose handlers send calls on to a remote server. */
export interface RemoteOffers {
  /** @param theirs its name there */
  toolNamed(name: string, theirs: string, listing: ToolListing): Tool
  promptNamed(name: string, theirs: string, listing: PromptListing): Prompt
  /** Stands for all resources; its input is `{ uri }`, as the remote server knows it. */
  readonly resource: FixedResource
  templateOf(uriTemplate: string, theirs: string, listing: object): TemplateResource
  /** For a user whose account is not connected, so that there is something to call that asks for it. */
  connectTool(): Tool
  readonly connectName: string
}

/** Makes offers of a remote server. */
export function createRemoteOffers(
  settings: ProxySettings,
  link: RemoteLink,
  onChanged: () => void,
): RemoteOffers {
  const { prefix, label } = settings
  const { identities } = link
  const connectName = prefix === undefined ? 'connect' : prefixName(prefix, 'connect')

  /** Sends one call on, in a session of its caller. */
  const send = <T>(
    context: AnyCallContext,
    work: (session: RemoteSession, send: <R>(request: Send<R>) => Promise<R>) => Promise<T>,
  ): Promise<T> =>
    inSession(
      refused => identities.forCall(context, refused),
      session => work(session, request => forward(settings, session, context, request)),
    )

  const toolNamed = (name: string, theirs: string, listing: ToolListing): Tool => ({
    kind: 'tool',
    name,
    description: { description: listing.description ?? name },
    listing,
    input: anyArguments,
    output: undefined,
    paramHeaders: false,
    rule: ruleFor(settings, pattern => fitsPattern(pattern, theirs)),
    enabled: true,
    // A remote server runs its own tasks; ours would only wait for them.
    task: 'forbidden',
    taskCreation: 'at-once',
    view: undefined,
    run: (input, context) =>
      send(context, async (session, request) => {
        // What was chosen not to be there is not, whatever the remote server would say.
        const tools = await request(async () => (await session.catalogue()).tools)
        // Somebody was faster than the next attempt.
        if (identities.isShared && link.isAway) void link.connect()
        const isThere = tools.has(name)
        if (!isThere && name === connectName) {
          onChanged()
          return 'Connected. List the tools again.'
        }
        if (!isThere) throw new ToolError(`There is no tool ${name}.`)
        const result = await request((client, options) =>
          client.callTool({ name: theirs, arguments: input as Record<string, unknown> }, options),
        )
        return toolAnswer(settings, result)
      }),
  })
  const promptNamed = (name: string, theirs: string, listing: PromptListing): Prompt => ({
    kind: 'prompt',
    name,
    listing,
    input: anyArguments,
    complete: completersFor({ type: 'ref/prompt', name: theirs }),
    rule: settings.rule,
    enabled: true,
    async run(input, context) {
      const result = await send(context, (_, request) =>
        request((client, options) =>
          client.getPrompt({ name: theirs, arguments: input as Record<string, string> }, options),
        ),
      )
      return promptAnswer(settings, result)
    },
  })
  const resource: FixedResource = {
    kind: 'resource',
    name: prefix === undefined ? '*' : `${prefix}/*`,
    isSourced: true,
    listing: { uri: '*', name: label },
    mimeType: undefined,
    cache: undefined,
    rule: settings.rule,
    enabled: true,
    async run(input, context) {
      const { uri } = input as { uri: string }
      try {
        const read = await send(context, (_, request) =>
          request((client, options) => client.readResource({ uri }, { ...options, cacheMode: 'bypass' })),
        )
        return resourceAnswer(settings, read)
      } catch (error) {
        const { code } = Object((error as Error).cause)
        if (code === -32602 || code === -32002) return undefined
        throw error
      }
    },
  }
  const templateOf = (uriTemplate: string, theirs: string, listing: object): TemplateResource => ({
    ...resource,
    listing: { uriTemplate, name: label, ...listing },
    template: { variableNames: [], match: () => undefined },
    list: undefined,
    complete: completersFor({ type: 'ref/resource', uri: theirs }),
  })
  const completersFor = (ref: CompletionReference) => ({
    size: 1,
    get:
      (name: string) =>
      async (value: string, others: Readonly<Record<string, string>>, context: AnyCallContext) => {
        const { completion } = await send(context, (_, request) =>
          request(async (client, options) =>
            client.getServerCapabilities()?.completions
              ? client.complete(
                  { ref, argument: { name, value }, context: { arguments: { ...others } } },
                  options,
                )
              : { completion: { values: [] } },
          ),
        )
        return completion.values
      },
  })

  return {
    toolNamed,
    promptNamed,
    resource,
    templateOf,
    connectName,
    connectTool: () =>
      toolNamed(connectName, 'connect', {
        name: connectName,
        description: `Connects your account, so that the tools of ${label} can be listed.`,
        inputSchema: { type: 'object' },
      }),
  }
}

type CompletionReference = { type: 'ref/prompt'; name: string } | { type: 'ref/resource'; uri: string }

/** Arguments as they came: the remote server checks them. */
const anyArguments: CompiledSchema = {
  json: { type: 'object' },
  parse: value =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? { value }
      : { problem: 'expected an object' },
}
