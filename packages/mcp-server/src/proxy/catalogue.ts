import type { Client, Prompt, Resource, ResourceTemplateType, Tool } from '@modelcontextprotocol/client'
import { fitsAny } from '../composition/name-pattern.ts'
import { prefixName, prefixUri } from '../composition/prefix.ts'
import { isToolName } from '../tools/define-tool.ts'
import type { ProxySettings } from './proxy-options.ts'

/** What a remote server has, as our clients see it. */
export interface Catalogue {
  /** By our name. */
  readonly tools: ReadonlyMap<string, Tool>
  readonly prompts: ReadonlyMap<string, Prompt>
  readonly resources: readonly Resource[]
  readonly templates: readonly ResourceTemplateType[]
  /** How many items were left out, because of their number, size or name. */
  readonly leftOut: number
}

/** Of each kind. */
const maxItems = 500
/** Characters of one schema, as JSON. */
const maxSchema = 65_536
const maxDescription = 8_192
const maxTitle = 256
const maxUri = 2_048
const listMs = 10_000

const remoteName = /^[A-Za-z0-9_./-]{1,128}$/

/** Our name for a remote tool; undefined when there is to be none. */
export function ourName(
  { prefix, tools }: Pick<ProxySettings, 'prefix' | 'tools'>,
  name: string,
): string | undefined {
  if (!tools || !remoteName.test(name)) return undefined
  if (!fitsAny(tools.include, name) || fitsAny(tools.exclude, name)) return undefined
  const renamed = Object.hasOwn(tools.rename, name) ? tools.rename[name]! : name
  const ours = prefix === undefined ? renamed : prefixName(prefix, renamed)
  return isToolName(ours) ? ours : undefined
}

/** The remote name of one of our tools; undefined when it is none of this remote server. */
export function theirName(
  settings: Pick<ProxySettings, 'prefix' | 'tools'>,
  ours: string,
): string | undefined {
  const { prefix, tools } = settings
  const start = prefix === undefined ? '' : prefixName(prefix, '')
  if (!tools || !ours.startsWith(start)) return undefined
  const inner = ours.slice(start.length)
  const name = Object.entries(tools.rename).find(([, renamed]) => renamed === inner)?.[0] ?? inner
  return ourName(settings, name) === ours ? name : undefined
}

/** Reads all there is, and makes it fit to be shown: nothing in it can be trusted. */
export async function readCatalogue(client: Client, settings: ProxySettings): Promise<Catalogue> {
  const { prefix } = settings
  const capabilities = client.getServerCapabilities() ?? {}
  const options = { timeout: listMs, cacheMode: 'refresh' } as const
  let count = 0
  const kept = <Item, Made>(items: readonly Item[], make: (item: Item) => Made | undefined): Made[] => {
    const made = items
      .slice(0, maxItems)
      .map(make)
      .filter(one => one !== undefined)
    count += items.length - made.length
    return made
  }
  const [tools, prompts, resources, templates] = await Promise.all([
    settings.tools && capabilities.tools ? client.listTools(undefined, options) : undefined,
    settings.prompts && capabilities.prompts ? client.listPrompts(undefined, options) : undefined,
    settings.resources && capabilities.resources ? client.listResources(undefined, options) : undefined,
    settings.resources && capabilities.resources
      ? client.listResourceTemplates(undefined, options)
      : undefined,
  ])
  const uriOf = (uri: string) => (prefix === undefined ? uri : prefixUri(prefix, uri))
  // What is chosen not to be there is not missing.
  const wanted = (tools?.tools ?? []).filter(
    ({ name }) =>
      !remoteName.test(name) || ourName(settings, name) !== undefined || isTooLong(settings, name),
  )
  return {
    tools: new Map(
      kept(wanted, tool => {
        const name = ourName(settings, tool.name)
        const listing = name === undefined ? undefined : toolListing(name, tool)
        return listing && ([listing.name, listing] as const)
      }),
    ),
    prompts: new Map(
      kept(prompts?.prompts ?? [], prompt => {
        const name = prefix === undefined ? prompt.name : prefixName(prefix, prompt.name)
        return isToolName(name) ? ([name, promptListing(name, prompt)] as const) : undefined
      }),
    ),
    resources: kept(resources?.resources ?? [], resource =>
      isUri(resource.uri) ? { uri: uriOf(resource.uri), ...shown(resource), ...sizeOf(resource) } : undefined,
    ),
    templates: kept(templates?.resourceTemplates ?? [], template =>
      isUri(template.uriTemplate)
        ? { uriTemplate: uriOf(template.uriTemplate), ...shown(template) }
        : undefined,
    ),
    get leftOut() {
      return count
    },
  }
}

const isUri = (uri: string): boolean =>
  uri.length <= maxUri && /^[a-z][a-z0-9+.-]*:./i.test(uri) && !/\s/.test(uri)

const isTooLong = ({ tools }: ProxySettings, name: string): boolean =>
  tools !== undefined && fitsAny(tools.include, name) && !fitsAny(tools.exclude, name)

function toolListing(name: string, tool: Tool): Tool | undefined {
  const inputSchema = plainSchema(tool.inputSchema)
  const outputSchema = tool.outputSchema && plainSchema(tool.outputSchema)
  if (!inputSchema || (tool.outputSchema && !outputSchema)) return undefined
  const { title, annotations = {} } = tool
  const { title: annotatedTitle, ...hints } = annotations
  return {
    name,
    ...(title !== undefined && { title: clean(title, maxTitle) }),
    description: clean(tool.description || title || tool.name, maxDescription),
    inputSchema: inputSchema as Tool['inputSchema'],
    ...(outputSchema && { outputSchema: outputSchema as NonNullable<Tool['outputSchema']> }),
    ...(tool.annotations && {
      annotations: {
        ...(annotatedTitle !== undefined && { title: clean(annotatedTitle, maxTitle) }),
        ...Object.fromEntries(
          hintNames.flatMap(hint => (typeof hints[hint] === 'boolean' ? [[hint, hints[hint]]] : [])),
        ),
      },
    }),
  }
}

const hintNames = ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint'] as const

function promptListing(name: string, { title, description, arguments: args }: Prompt): Prompt {
  return {
    name,
    ...(title !== undefined && { title: clean(title, maxTitle) }),
    ...(description !== undefined && { description: clean(description, maxDescription) }),
    ...(args && {
      arguments: args.slice(0, 100).map(({ name, description, required }) => ({
        name: clean(name, maxTitle),
        ...(description !== undefined && { description: clean(description, maxDescription) }),
        ...(required !== undefined && { required }),
      })),
    }),
  }
}

function shown({
  name,
  title,
  description,
  mimeType,
}: Omit<Resource, 'uri'> & { mimeType?: string | undefined }) {
  return {
    name: clean(name, maxTitle),
    ...(title !== undefined && { title: clean(title, maxTitle) }),
    ...(description !== undefined && { description: clean(description, maxDescription) }),
    ...(mimeType !== undefined && { mimeType: clean(mimeType, maxTitle) }),
  }
}

const sizeOf = ({ size }: Resource) => (typeof size === 'number' ? { size } : {})

/** A schema as JSON; headers that the remote server wants repeated are its own affair. */
function plainSchema(schema: unknown): object | undefined {
  const text = JSON.stringify(schema, (key, value) => (key === 'x-mcp-header' ? undefined : value))
  return text.length > maxSchema ? undefined : JSON.parse(text)
}

/**
 * A text without what nobody sees and a model reads nevertheless: control characters, tags, marks that turn the
 * direction of writing.
 */
export const clean = (text: string, max: number): string =>
  text
    .replace(
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u202a-\u202e\u2060-\u2069\ufeff]|[\u{e0000}-\u{e0fff}]/gu,
      '',
    )
    .slice(0, max)
