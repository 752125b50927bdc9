import { ConfigurationError } from '@sallyport/oauth'
import type { Registry } from '../registry.ts'
import { viewMimeType } from './tool-ui.ts'

/** @throws {ConfigurationError} when a tool names a view that is none */
export function checkViews(registry: Registry): void {
  for (const { name, view } of registry.tools()) {
    if (!view) continue
    const found = registry.findResource(view.uri)?.resource
    if (!found) {
      throw new ConfigurationError(
        `ui of tool "${name}" names ${view.uri}, and there is no such resource: add it, or give html.`,
      )
    }
    if (found.mimeType !== viewMimeType) {
      throw new ConfigurationError(
        `ui of tool "${name}" names ${view.uri}, whose mimeType must be "${viewMimeType}".`,
      )
    }
  }
}
