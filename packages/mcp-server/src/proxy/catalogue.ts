import type { Client, Prompt, Resource, ResourceTemplateType, Tool } from '@modelcontextprotocol/client'
import { prefixName, prefixUri } from '../composition/prefix.ts'
import { isToolName } from '../tools/define-tool.ts'
import { promptListing, shownOf, sizeOf, toolListing } from './listings.ts'
import type { ProxySettings } from './proxy-options.ts'
import { isWanted, ourName } from './remote-names.ts'

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
const maxUri = 2_048
const listMs = 10_000

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
  const wanted = (tools?.tools ?? []).filter(({ name }) => isWanted(settings, name))
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
      isUri(resource.uri)
        ? { uri: uriOf(resource.uri), ...shownOf(resource), ...sizeOf(resource) }
        : undefined,
    ),
    templates: kept(templates?.resourceTemplates ?? [], template =>
      isUri(template.uriTemplate)
        ? { uriTemplate: uriOf(template.uriTemplate), ...shownOf(template) }
        : undefined,
    ),
    get leftOut() {
      return count
    },
  }
}

const isUri = (uri: string): boolean =>
  uri.length <= maxUri && /^[a-z][a-z0-9+.-]*:./i.test(uri) && !/\s/.test(uri)
