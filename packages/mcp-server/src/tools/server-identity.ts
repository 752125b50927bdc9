import type { Implementation } from '@modelcontextprotocol/server'

/** What a server tells its clients about itself. */
export interface ServerIdentity {
  info: Implementation
  /** How the tools are meant to be used, for the model. */
  instructions?: string | undefined
}
