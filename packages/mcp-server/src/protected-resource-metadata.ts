import { jsonResponse } from './json-response.ts'

/** Path of the document of the resource `/mcp` (RFC 9728 §3.1): the well-known part goes in front of the path. */
export const metadataPath = '/.well-known/oauth-protected-resource/mcp'
/** Where clients look that know the origin only. */
export const rootMetadataPath = '/.well-known/oauth-protected-resource'

/** What the resource says about itself: who issues tokens for it (RFC 9728 §2). */
export interface ProtectedResourceMetadata {
  resource: string
  authorization_servers: readonly string[]
  /** The minimum a client should ask for; tools challenge for more. Absent when there is none (RFC 9728 §3.2). */
  scopes_supported?: readonly string[]
  bearer_methods_supported: readonly ['header']
  resource_name: string
  /** Algorithms of DPoP proofs; absent where there are none (RFC 9449 §5.1). */
  dpop_signing_alg_values_supported?: readonly string[]
}

/** Answers GET, HEAD and a preflight; pages of any origin may read it, and it may be kept for five minutes. */
export function metadataResponse(request: Request, metadata: ProtectedResourceMetadata): Response {
  const cors = { 'Access-Control-Allow-Origin': '*' }
  switch (request.method) {
    case 'GET':
    case 'HEAD': {
      const answer = jsonResponse(metadata, 200, { ...cors, 'Cache-Control': 'public, max-age=300' })
      return request.method === 'GET' ? answer : new Response(null, answer)
    }
    case 'OPTIONS':
      return new Response(null, {
        status: 204,
        headers: {
          ...cors,
          'Access-Control-Allow-Methods': 'GET',
          'Access-Control-Allow-Headers': 'Authorization, Content-Type, MCP-Protocol-Version',
        },
      })
    default:
      return jsonResponse({ error: 'invalid_request' }, 405, { Allow: 'GET, HEAD' })
  }
}
