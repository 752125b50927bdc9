import type { ClientRequest } from './exchange.ts'

/** What a client must be able to do before it can be asked something. */
export type ClientCapability = 'elicitation' | 'url_elicitation' | 'sampling' | 'sampling_tools' | 'roots'

const words: Record<ClientCapability, string> = {
  elicitation: 'ask you questions',
  url_elicitation: 'send you to a web page',
  sampling: 'let tools use its model',
  sampling_tools: 'let tools use its model with tools of their own',
  roots: 'tell which folders you work in',
}

/**
 * The client cannot do what the call asks of it. A handler that can do without catches it; else the client gets
 * `-32021` (2026-07-28) or a result that says so.
 */
export class ClientCapabilityError extends Error {
  override readonly name = 'ClientCapabilityError'
  readonly capability: ClientCapability
  /** What was to be asked. */
  readonly request: ClientRequest
  constructor(capability: ClientCapability, request: ClientRequest) {
    super(`This needs an app that can ${words[capability]}, and yours does not say that it can.`)
    this.capability = capability
    this.request = request
  }
}
