import type { ServerEventBus } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import type { EventSink } from '@sallyport/oauth'
import { createLists, type ListSettings } from '../calls/lists.ts'
import type { CallServices } from '../calls/perform.ts'
import type { InFlight } from '../in-flight.ts'
import type { Log } from '../log.ts'
import { isOpen, type Offer } from '../offers.ts'
import type { Registry } from '../registry.ts'
import { hasScopes } from '../scope-hierarchy.ts'
import type { Tool } from './define-tool.ts'
import { createSdkServer, type ServerIdentity } from './sdk-server.ts'
import { ToolError } from './tool-error.ts'

/** A server on stdin and stdout. */
export interface StdioHandle {
  close(): Promise<void>
}

/**
 * Serves over stdio, where nobody is signed in: what is protected is not listed, and calling a protected tool says why.
 */
export function serveOffers(options: {
  identity: ServerIdentity
  registry: Registry
  settings: ListSettings
  changes: ServerEventBus
  exposeErrors: boolean
  emit: EventSink
  log: Log
  inFlight: InFlight
}): StdioHandle {
  const { registry, log } = options
  const services: CallServices = {
    providers: new Map(),
    connectLink: () => Promise.reject(new Error('nobody is signed in over stdio')),
    hasScopes,
    exposeErrors: options.exposeErrors,
    emit: options.emit,
    log,
    now: () => performance.now(),
    track: options.inFlight.track,
  }
  const open = openOffers(registry)
  const parts = {
    identity: options.identity,
    registry: open,
    services,
    lists: createLists(open, services, options.settings),
  }
  return serveStdio(
    ({ era }) =>
      createSdkServer(parts, { caller: undefined, era, hearsChanges: true, changes: options.changes }),
    { onerror: error => log.debug({ err: error }, 'mcp') },
  )
}

/** What anybody may use; a protected tool still answers, with the reason why it cannot. */
function openOffers(registry: Registry): Registry {
  return {
    ...registry,
    tools: () => registry.tools().filter(isOpen),
    prompts: () => registry.prompts().filter(isOpen),
    resources: () => registry.resources().filter(isOpen),
    templates: () => registry.templates().filter(isOpen),
    tool(name) {
      const tool = registry.tool(name)
      return tool && !isOpen(tool) && !tool.rule?.hidden ? refusing(tool) : tool
    },
    prompt: name => onlyOpen(registry.prompt(name)),
    template: uriTemplate => onlyOpen(registry.template(uriTemplate)),
    findResource(uri) {
      const found = registry.findResource(uri)
      return found && isOpen(found.resource) ? found : undefined
    },
  }
}

const onlyOpen = <O extends Offer>(offer: O | undefined): O | undefined =>
  offer && isOpen(offer) ? offer : undefined

/** A stand-in that takes any input, so that what comes back is the reason and not a complaint about arguments. */
const refusing = (tool: Tool): Tool => ({
  ...tool,
  rule: undefined,
  input: undefined,
  output: undefined,
  run: () => {
    throw new ToolError(`"${tool.name}" needs a signed-in user, and over stdio nobody is: connect over HTTP.`)
  },
})
