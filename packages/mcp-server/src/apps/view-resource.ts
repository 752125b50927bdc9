import { defineResource, type Resource } from '../resources/define-resource.ts'
import type { Tool } from '../tools/define-tool.ts'
import { viewMeta, viewMimeType } from './tool-ui.ts'

/**
 * The resource a tool brings along for its view; undefined when it has none, or one that is declared apart. It is the
 * same for everybody and open to everybody, unless nobody may know of the tool.
 *
 * @throws {ConfigurationError} when it cannot work
 */
export function viewResource({ name, rule, view, description }: Tool): Resource | undefined {
  const { html, uri = '', ttlMs = 3_600_000 } = view ?? {}
  if (html === undefined) return undefined
  const ui = viewMeta(view ?? {})
  const meta = Object.keys(ui).length > 0 && { _meta: { ui } }
  const isHidden = rule?.hidden === true
  const resource = defineResource(uri, {
    title: description.title ?? name,
    description: `Shows what the tool ${name} returns`,
    mimeType: viewMimeType,
    ...meta,
    cache: { ttlMs, cacheScope: isHidden ? 'private' : 'public' },
    run: async () => ({
      contents: [
        { uri, mimeType: viewMimeType, text: typeof html === 'function' ? await html() : html, ...meta },
      ],
    }),
  })
  return isHidden ? { ...resource, rule } : resource
}
