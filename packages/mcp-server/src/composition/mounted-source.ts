import type { Offer } from '../offers.ts'
import type { Prompt } from '../prompts/define-prompt.ts'
import type { FixedResource, TemplateResource } from '../resources/define-resource.ts'
import type { Tool } from '../tools/define-tool.ts'
import { isToolName } from '../tools/define-tool.ts'
import { mountedOffer } from './mounted-offer.ts'
import type { OfferSource } from './offer-source.ts'
import { patternWithoutPrefix, prefixName, prefixUri, withoutPrefix } from './prefix.ts'

/**
 * A source of a mounted server under its prefix.
 *
 * @param onCopy told which offer stands for which
 */
export function mountedSource(
  source: OfferSource,
  prefix: string,
  onCopy: (copy: Offer, original: Offer) => void,
): OfferSource {
  const copies = new WeakMap<Offer, Offer>()
  const isOwn = (uri: string) => source.findResource(uri) !== undefined
  const copyOf = <O extends Tool | Prompt | FixedResource | TemplateResource>(offer: O): O => {
    let copy = copies.get(offer)
    if (!copy) {
      copy = mountedOffer(offer, prefix, isOwn)
      copies.set(offer, copy)
      onCopy(copy, offer)
    }
    return copy as O
  }
  const named = <O extends Tool | Prompt>(name: string, find: (name: string) => O | undefined) => {
    const start = prefixName(prefix, '')
    const found = name.startsWith(start) ? find(name.slice(start.length)) : undefined
    return found && copyOf(found)
  }
  const fitting = <O extends Tool | Prompt>(offers: readonly O[]): O[] =>
    offers.filter(({ name }) => isToolName(prefixName(prefix, name))).map(copyOf)

  return {
    start: prefixName(prefix, source.start),
    placeholders: source.placeholders.map(offer => ({
      ...offer,
      name: offer.kind === 'resource' ? `${prefix}/${offer.name}` : prefixName(prefix, offer.name),
    })),
    tool: name => named(name, source.tool),
    prompt: name => named(name, source.prompt),
    findResource(uri) {
      const inner = withoutPrefix(prefix, uri)
      const found = inner === undefined ? undefined : source.findResource(inner)
      return found && { ...found, resource: copyOf(found.resource) }
    },
    template(uriTemplate) {
      const inner = withoutPrefix(prefix, uriTemplate)
      const found = inner === undefined ? undefined : source.template(inner)
      return found && copyOf(found)
    },
    mayHave(kind, pattern) {
      const [begin = ''] = pattern.split('*')
      if (kind === 'resource') {
        const inner = patternWithoutPrefix(prefix, pattern)
        return inner !== undefined && source.mayHave(kind, inner)
      }
      const start = prefixName(prefix, '')
      if (pattern.startsWith(start)) return source.mayHave(kind, pattern.slice(start.length))
      return begin !== pattern && start.startsWith(begin) && source.mayHave(kind, '*')
    },
    lacks(kind, pattern) {
      const start = prefixName(prefix, '')
      return pattern.startsWith(start) && source.lacks(kind, pattern.slice(start.length))
    },
    tools: async asking => fitting(await source.tools(asking)),
    prompts: async asking => fitting(await source.prompts(asking)),
    resources: async asking => (await source.resources(asking)).map(copyOf),
    templates: async asking => (await source.templates(asking)).map(copyOf),
    ...(source.hear && {
      hear: hearer =>
        source.hear!({
          asking: hearer.asking,
          followed: () => [...hearer.followed()].flatMap(uri => withoutPrefix(prefix, uri) ?? []),
          listsChanged: hearer.listsChanged,
          resourceUpdated: uri => hearer.resourceUpdated(prefixUri(prefix, uri)),
        }),
    }),
    open: log => source.open(log),
    close: () => source.close(),
  }
}
