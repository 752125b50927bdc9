import type { Prompt as PromptListing, Tool as ToolListing } from '@modelcontextprotocol/server'
import { LRUCache } from 'lru-cache'
import { callerFor, mayUse } from '../calls/perform.ts'
import { fitsPattern } from '../composition/name-pattern.ts'
import type { Asking, OfferSource } from '../composition/offer-source.ts'
import { patternWithoutPrefix, prefixName, prefixUri, withoutPrefix } from '../composition/prefix.ts'
import type { Offer } from '../offers.ts'
import type { Prompt } from '../prompts/define-prompt.ts'
import { ConnectionRequiredError } from '../provider.ts'
import type { FixedResource } from '../resources/define-resource.ts'
import { isToolName, type Tool } from '../tools/define-tool.ts'
import type { Catalogue } from './catalogue.ts'
import { inSession } from './forward.ts'
import { type ProxySettings, ruleFor } from './proxy-options.ts'
import { createRemoteLink, inTime, type RemoteTiming } from './remote-link.ts'
import { theirName } from './remote-names.ts'
import { createRemoteOffers } from './remote-offers.ts'

/**
 * Brings in what a remote server has. Its tools are found by their names at once; whether there is one turns out when it
 * is called.
 *
 * @param onChanged told when there may be something else
 */
export function createRemoteSource(
  settings: ProxySettings,
  onChanged: () => void,
  timing?: RemoteTiming,
): OfferSource {
  const { prefix, label } = settings
  const link = createRemoteLink(settings, onChanged, timing)
  const { identities } = link
  const { connectName, connectTool, promptNamed, resource, templateOf, toolNamed } = createRemoteOffers(
    settings,
    link,
    onChanged,
  )

  const mayCall = ({ caller, services }: Asking) =>
    mayUse(settings.rule, callerFor(settings.rule, caller), services.hasScopes)
  const catalogueFor = async (asking: Asking): Promise<Catalogue | 'not connected' | undefined> => {
    try {
      // One that is away is tried again in the background: lists do not wait for it.
      if (identities.isShared && link.isAway) return identities.shared().known
      // What is there may be the caller's own: it is not read for a token that could call none of it (R156).
      if (!identities.isShared && asking.caller && !mayCall(asking)) return 'not connected'
      return await inSession(
        refused => identities.forList(asking, refused),
        async session => session && inTime(session.catalogue()),
      )
    } catch (error) {
      if (error instanceof ConnectionRequiredError) return 'not connected'
      asking.services.log.warn({ remote: label }, 'the lists of the remote server cannot be read now')
      return undefined
    }
  }
  const listed = async <Item, O>(
    asking: Asking,
    items: (catalogue: Catalogue) => Iterable<Item>,
    make: (item: Item) => O,
  ): Promise<O[]> => {
    const catalogue = await catalogueFor(asking)
    return typeof catalogue === 'object' ? [...items(catalogue)].map(make) : []
  }

  const placeholder = (kind: Offer['kind'], name: string, rule = settings.rule): Offer => ({
    kind,
    name: kind === 'resource' ? resource.name : prefix === undefined ? name : prefixName(prefix, name),
    rule,
    enabled: true,
  })
  const found = new LRUCache<string, Tool | Prompt>({ max: 2_000 })
  const remembered = <O extends Tool | Prompt>(key: string, make: () => O): O => {
    const known = found.get(key) as O | undefined
    if (known) return known
    const made = make()
    found.set(key, made)
    return made
  }
  const toolBehind = (name: string) =>
    theirName(settings, name) ?? (name === connectName && !identities.isShared ? 'connect' : undefined)
  const inner = (name: string) => {
    if (prefix === undefined) return isToolName(name) ? name : undefined
    const start = prefixName(prefix, '')
    return name.startsWith(start) && isToolName(name) ? name.slice(start.length) : undefined
  }

  return {
    start: prefix === undefined ? '' : prefixName(prefix, ''),
    placeholders: [
      ...(settings.tools
        ? [
            placeholder('tool', '*'),
            ...settings.rulesByName.map(([pattern]) =>
              placeholder(
                'tool',
                pattern,
                ruleFor(settings, each => each === pattern),
              ),
            ),
          ]
        : []),
      ...(settings.prompts ? [placeholder('prompt', '*')] : []),
      ...(settings.resources ? [placeholder('resource', '*')] : []),
    ],
    tool(name) {
      const theirs = toolBehind(name)
      // Without a prefix, names that are not known to be there are nobody's.
      if (theirs === undefined || isUnknown(catalogue => catalogue.tools.has(name))) return undefined
      const listing = { name, description: name, inputSchema: { type: 'object' } } as const
      return remembered(`tool ${name}`, () => toolNamed(name, theirs, listing))
    },
    prompt(name) {
      const theirs = settings.prompts ? inner(name) : undefined
      if (theirs === undefined || isUnknown(catalogue => catalogue.prompts.has(name))) return undefined
      return remembered(`prompt ${name}`, () => promptNamed(name, theirs, { name }))
    },
    findResource(uri) {
      if (!settings.resources) return undefined
      const theirs = prefix === undefined ? uri : withoutPrefix(prefix, uri)
      return theirs === undefined ? undefined : { resource, variables: { uri: theirs } }
    },
    template(uriTemplate) {
      if (!settings.resources) return undefined
      const theirs = prefix === undefined ? uriTemplate : withoutPrefix(prefix, uriTemplate)
      return theirs === undefined ? undefined : templateOf(uriTemplate, theirs, {})
    },
    mayHave(kind, pattern) {
      if (!settings[`${kind}s`]) return false
      if (kind === 'resource')
        return prefix === undefined || patternWithoutPrefix(prefix, pattern) !== undefined
      const [begin = ''] = pattern.split('*')
      if (begin !== pattern) {
        const start = prefix === undefined ? '' : prefixName(prefix, '')
        return begin.startsWith(start) || start.startsWith(begin)
      }
      return kind === 'tool' ? toolBehind(pattern) !== undefined : inner(pattern) !== undefined
    },
    lacks(kind, pattern) {
      const known = identities.isShared ? identities.shared().known : undefined
      const names = known && [...(kind === 'tool' ? known.tools : known.prompts).keys()]
      return names !== undefined && !names.some(name => fitsPattern(pattern, name))
    },
    async tools(asking) {
      if (!settings.tools) return []
      const catalogue = await catalogueFor(asking)
      if (catalogue === 'not connected') return [connectTool()]
      return [...(catalogue?.tools ?? [])].map(([name, listing]) =>
        toolNamed(name, theirName(settings, name) ?? name, listing as ToolListing),
      )
    },
    prompts: asking =>
      listed(
        asking,
        ({ prompts }) => prompts,
        ([name, listing]) => promptNamed(name, inner(name) ?? name, listing as PromptListing),
      ),
    // As with those that templates list: only who may read them learns which there are.
    resources: async asking =>
      mayCall(asking)
        ? listed(
            asking,
            ({ resources }) => resources,
            listing => ({ ...resource, listing }) as FixedResource,
          )
        : [],
    templates: asking =>
      listed(
        asking,
        ({ templates }) => templates,
        ({ uriTemplate, ...listing }) => templateOf(uriTemplate, uriTemplate, listing),
      ),
    hear: hearer =>
      identities.hear({
        asking() {
          const asking = hearer.asking()
          // What there is may be the caller's own: nothing is opened for a token that could read none of it (R156).
          return asking && mayCall(asking) ? asking : undefined
        },
        followed: () =>
          settings.resources
            ? [...hearer.followed()].flatMap(uri =>
                prefix === undefined ? uri : (withoutPrefix(prefix, uri) ?? []),
              )
            : [],
        changed: hearer.listsChanged,
        updated: uri => hearer.resourceUpdated(prefix === undefined ? uri : prefixUri(prefix, uri)),
      }),
    open: log => link.open(log),
    close: () => link.close(),
  }

  /** What all callers see is known once it was read. */
  function isUnknown(has: (catalogue: Catalogue) => boolean): boolean {
    if (!identities.isShared) return false
    const { known } = identities.shared()
    return known !== undefined && !has(known)
  }
}
