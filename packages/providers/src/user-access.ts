import type { ExternalToken } from '@sallyport/mcp-server'

/** What an adapter needs of a tool's call context, so that the context itself can be handed over. */
export interface UserAccess {
  /** A fresh external token of the user. */
  token(): Promise<ExternalToken>
  /** `fetch` with the user's token. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>
}
