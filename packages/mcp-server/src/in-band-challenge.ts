import {
  isJSONRPCRequest,
  PROTOCOL_VERSION_META_KEY,
  SERVER_INFO_META_KEY,
} from '@modelcontextprotocol/server'
import { jsonResponse } from './json-response.ts'
import type { Offer } from './offers.ts'
import { isOpen } from './offers.ts'
import { baseScope } from './scopes.ts'
import type { ServerIdentity } from './tools/server-identity.ts'

/**
 * Which clients get challenges in the results of tools: all, or those whose `User-Agent` says so. ChatGPT's begins with
 * `openai-mcp`.
 */
export type InBandChallenges = boolean | ((userAgent: string) => boolean)

/** What such clients look for, in the `_meta` of a result. */
const metaKey = 'mcp/www_authenticate'

/** What the gate refused, so that it can be said another way. */
export interface Refusal {
  response: Response
  /** Value of a challenge that says what is missing; undefined where no result may stand in for the answer. */
  inBand?: string | undefined
}

/**
 * The answer to a `tools/call` that the gate refused, as a result of the tool: status 200, `isError`, and the challenge in
 * `_meta`. Undefined where the gate's own answer stands: for other requests and other clients, and where a token was
 * presented that is not valid, because that status is what makes a client refresh it.
 */
export function inBandAnswer(
  request: Request,
  body: unknown,
  { inBand }: Refusal,
  options: { clients: InBandChallenges; identity: ServerIdentity },
): Response | undefined {
  const { clients, identity } = options
  if (inBand === undefined || clients === false) return undefined
  if (typeof clients === 'function' && !clients(request.headers.get('user-agent') ?? '')) return undefined
  if (!isJSONRPCRequest(body) || body.method !== 'tools/call') return undefined
  const { name, version } = identity.info
  const isModern = body.params?._meta?.[PROTOCOL_VERSION_META_KEY] !== undefined
  const result = {
    content: [{ type: 'text', text: 'The user has to sign in, or allow more, before this can be used.' }],
    isError: true,
    ...(isModern && { resultType: 'complete' }),
    _meta: { [metaKey]: [inBand], ...(isModern && { [SERVER_INFO_META_KEY]: { name, version } }) },
  }
  return jsonResponse({ jsonrpc: '2.0', id: body.id, result })
}

/** What a tool asks of its caller, as clients with challenges in results know it. */
export type SecurityScheme = { type: 'noauth' } | { type: 'oauth2'; scopes: readonly string[] }

/**
 * What a tool's listing says of its protection. It protects nothing; the gate does.
 *
 * @param isOwnIssuer whether the base scope means anything to who issues the tokens
 */
export function securitySchemes(offer: Pick<Offer, 'rule'>, isOwnIssuer: boolean): SecurityScheme[] {
  const { rule } = offer
  const named = rule?.scopes ?? []
  const scopes = named.length > 0 || !isOwnIssuer ? named : [baseScope]
  return [
    ...(isOpen(offer) ? [{ type: 'noauth' as const }] : []),
    ...(rule ? [{ type: 'oauth2' as const, scopes }] : []),
  ]
}
