import { ConfigurationError } from '@sallyport/oauth'
import { toolUiMeta } from '../apps/tool-ui.ts'
import type { Offer } from '../offers.ts'
import { offerName } from '../offers.ts'
import type { Prompt } from '../prompts/define-prompt.ts'
import type { Resource } from '../resources/define-resource.ts'
import { compileTemplate } from '../resources/resource-template.ts'
import type { Tool } from '../tools/define-tool.ts'
import { isToolName } from '../tools/define-tool.ts'
import { prefixName, prefixUri } from './prefix.ts'
import { translateUris } from './translate-uris.ts'

/**
 * An offer of a mounted server under its name on the one it is mounted on. It is the same offer: enabled and disabled
 * with it, run by its handler, with its `auth`.
 *
 * @param isOwn whether a URI in a result is one of the mounted server's resources
 * @throws {ConfigurationError} when its name would be none
 */
export function mountedOffer<O extends Tool | Resource | Prompt>(
  offer: O,
  prefix: string,
  isOwn: (uri: string) => boolean,
): O {
  const translate = (uri: string) => (isOwn(uri) ? prefixUri(prefix, uri) : uri)
  const run: Tool['run'] = async (input, context) =>
    translateUris(offer.kind, await offer.run(input, context), translate)
  return linked(offer, { ...renamed(offer, prefix, translate), run, around: undefined }) as unknown as O
}

function renamed(
  offer: Tool | Resource | Prompt,
  prefix: string,
  translate: (uri: string) => string,
): object {
  if (offer.kind !== 'resource') {
    const name = prefixName(prefix, offer.name)
    if (!isToolName(name)) {
      throw new ConfigurationError(
        `${offerName(offer)} would be named "${name}", which is longer than 64 characters: mount its server at a shorter prefix.`,
      )
    }
    const listing = { ...offer.listing, name }
    if (offer.kind === 'prompt' || !offer.view) return { ...offer, name, listing }
    // Its page is a resource of the mounted server, and has moved with it.
    const view = { ...offer.view, uri: translate(offer.view.uri) }
    return {
      ...offer,
      name,
      view,
      listing: { ...listing, _meta: { ...listing._meta, ui: toolUiMeta(view) } },
    }
  }
  if (offer.isSourced) {
    const name = `${prefix}/${offer.name}`
    const { uri, uriTemplate } = offer.listing as { uri?: string; uriTemplate?: string }
    return {
      ...offer,
      name,
      listing: {
        ...offer.listing,
        ...(uri !== undefined && { uri: prefixUri(prefix, uri) }),
        ...(uriTemplate !== undefined && { uriTemplate: prefixUri(prefix, uriTemplate) }),
      },
    }
  }
  const name = prefixUri(prefix, offer.name)
  // A resource without a name of its own is known by its URI.
  const shown = offer.listing.name === offer.name ? name : offer.listing.name
  if (!offer.template) {
    if (!URL.canParse(name)) {
      throw new ConfigurationError(`${offerName(offer)} would have the URI "${name}", which is none.`)
    }
    return { ...offer, name, listing: { ...offer.listing, uri: name, name: shown } }
  }
  const { list } = offer
  return {
    ...offer,
    name,
    listing: { ...offer.listing, uriTemplate: name, name: shown },
    template: compileTemplate(name),
    list:
      list &&
      (async (context: Parameters<typeof list>[0]) =>
        (await list(context)).map(resource => ({ ...resource, uri: prefixUri(prefix, resource.uri) }))),
  }
}

/** The copy is enabled while the original is. */
function linked(original: Offer, copy: object): object {
  return Object.defineProperty(copy, 'enabled', {
    enumerable: true,
    get: () => original.enabled,
    set: (enabled: boolean) => {
      original.enabled = enabled
    },
  })
}
