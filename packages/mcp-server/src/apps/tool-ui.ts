import { ConfigurationError } from '@sallyport/oauth'
import { checkKeys } from '../known-keys.ts'

/** Name of the extension: MCP Apps. */
export const uiExtension = 'io.modelcontextprotocol/ui'

/** What a view is, to hosts that can show one. */
export const viewMimeType = 'text/html;profile=mcp-app'

/** Where a view may reach, as origins such as `https://cdn.example.com`. Default of each: nowhere. */
export interface ViewCsp {
  /** For `fetch`, XHR and WebSockets. */
  readonly connectDomains?: readonly string[]
  /** For scripts, styles, pictures, fonts and media. */
  readonly resourceDomains?: readonly string[]
  /** For frames within. */
  readonly frameDomains?: readonly string[]
  /** For the document's base. Default: its own. */
  readonly baseUriDomains?: readonly string[]
}

/** How a view is framed, and what it may do there. The host decides. */
export interface ViewSettings {
  readonly csp?: ViewCsp
  readonly permissions?: readonly ('camera' | 'microphone' | 'geolocation' | 'clipboardWrite')[]
  /** An origin of its own, in the form the host documents. Default: one the host chooses. */
  readonly domain?: string
  readonly prefersBorder?: boolean
}

/** The view that shows what a tool returns, in hosts that know MCP Apps. */
export interface ToolUi extends ViewSettings {
  /** `ui://…` of the view. Default, beside `html`: `ui://<name of the tool>/view`. */
  readonly uri?: string
  /**
   * The page, the same for everybody: what is the user's comes to it as the result of the tool. Default: the server offers
   * a resource at `uri` already.
   */
  readonly html?: string | (() => string | Promise<string>)
  /** How long clients may keep the page, in milliseconds. Default 3600000. */
  readonly ttlMs?: number
  /**
   * Who calls the tool: the model, the view, or both. It protects nothing; `auth` does. A tool for views alone is not
   * listed to clients that say they show none. Default: both.
   */
  readonly visibility?: readonly ('model' | 'app')[]
}

/** A tool's view, checked. */
export interface View extends ToolUi {
  readonly uri: string
}

const origin = /^(?:https?|wss?):\/\/[^\s;,'"\\]+$/
const cspKeys: Readonly<Record<keyof ViewCsp, true>> = {
  connectDomains: true,
  resourceDomains: true,
  frameDomains: true,
  baseUriDomains: true,
}
const uiKeys: Readonly<Record<keyof ToolUi, true>> = {
  html: true,
  uri: true,
  csp: true,
  permissions: true,
  domain: true,
  prefersBorder: true,
  visibility: true,
  ttlMs: true,
}
const permissionNames: ReadonlySet<unknown> = new Set([
  'camera',
  'microphone',
  'geolocation',
  'clipboardWrite',
])

/** @throws {ConfigurationError} when hosts could not show it so */
export function toolView(ui: string | ToolUi, tool: string, where: string): View {
  const declared = typeof ui === 'string' ? { uri: ui } : ui
  checkKeys(declared, uiKeys, `ui of ${where}`)
  if (declared.csp !== undefined) checkKeys(declared.csp, cspKeys, `csp of ui of ${where}`)
  const { html, uri = html === undefined ? undefined : `ui://${tool}/view`, csp = {} } = declared
  if (uri === undefined)
    throw new ConfigurationError(`ui of ${where} must have html, or the uri of a resource.`)
  if (!/^ui:\/\/./.test(uri) || !URL.canParse(uri)) {
    throw new ConfigurationError(`The uri of ui of ${where} must be one of ui://, such as ui://board/view.`)
  }
  if (html !== undefined && typeof html !== 'string' && typeof html !== 'function') {
    throw new ConfigurationError(`html of ui of ${where} must be a page or a function that returns one.`)
  }
  for (const key of Object.keys(cspKeys) as (keyof ViewCsp)[]) {
    // What is no origin could end the directive that a host makes of it.
    if (csp[key]?.every(each => origin.test(each)) === false) {
      throw new ConfigurationError(
        `csp.${key} of ui of ${where} must be origins, such as https://cdn.example.com.`,
      )
    }
  }
  if (declared.permissions?.every(name => permissionNames.has(name)) === false) {
    throw new ConfigurationError(
      `permissions of ui of ${where} must be of camera, microphone, geolocation, clipboardWrite.`,
    )
  }
  const { visibility } = declared
  if (visibility && (visibility.length === 0 || !visibility.every(who => who === 'model' || who === 'app'))) {
    throw new ConfigurationError(`visibility of ui of ${where} must be "model", "app" or both.`)
  }
  return { ...declared, uri }
}

/** What the listing of a tool says of its view: `_meta.ui`. */
export const toolUiMeta = ({ uri, visibility }: View) => ({
  resourceUri: uri,
  ...(visibility && { visibility: [...visibility] }),
})

/** What a view says of itself: `_meta.ui` of the resource and of what is read. */
export const viewMeta = ({ csp, permissions, domain, prefersBorder }: ViewSettings) => ({
  ...(csp && { csp }),
  ...(permissions && { permissions: Object.fromEntries(permissions.map(name => [name, {}])) }),
  ...(domain !== undefined && { domain }),
  ...(prefersBorder !== undefined && { prefersBorder }),
})

/** Whether what a client says of itself has views in it. */
export const showsViews = (
  capabilities: { extensions?: Readonly<Record<string, unknown>> | undefined } | undefined,
): boolean => {
  const ui = capabilities?.extensions?.[uiExtension] as { mimeTypes?: unknown } | undefined
  return ui !== undefined && (!Array.isArray(ui.mimeTypes) || ui.mimeTypes.includes(viewMimeType))
}
