import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** An authorization server that takes part, in a process of its own. */
export interface Contender {
  tokenPath: string
  registrationPath: string
  /** Answers a request to one of its own endpoints. */
  listener(request: IncomingMessage, response: ServerResponse): unknown
  /** Puts codes into its store as a finished sign-in of this client would. */
  mintCodes(clientId: string, count: number): Promise<string[]>
  /** Accepts an access token for `resource`, or rejects. */
  verify(accessToken: string): Promise<unknown>
  close(): Promise<void>
}

export type ContenderName = 'memory' | 'file' | 'redis' | 'oidc-jwt' | 'oidc-opaque'

/** What a process is started with. */
export interface ContenderSettings {
  name: ContenderName
  port: number
  /** A folder of its own. */
  folder: string
  redisUrl: string | undefined
}

/** What the parent may ask a contender's process, and what it answers. Times are microseconds of all threads. */
export interface Questions {
  cpu: { ask: undefined; answer: number }
  mint: { ask: number; answer: string[] }
  stop: { ask: undefined; answer: undefined }
}

/** What a contender says when it can be called. */
export interface Ready {
  port: number
  tokenPath: string
  clientId: string
}

export const resource = 'https://mcp.example.com/mcp'
export const redirectUri = 'https://client.example/callback'
export const scopes = ['notes:read', 'notes:write']
export const accessTokenSeconds = 900
export const verifier = 'a-code-verifier-of-more-than-forty-three-characters'
export const challenge = createHash('sha256').update(verifier).digest('base64url')

/** Paths of the front that belong to no contender: nothing at all, and a bearer token to be verified. */
export const frontPaths = { nothing: '/nothing', verify: '/verify' } as const
