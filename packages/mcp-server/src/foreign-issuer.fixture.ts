import { exportJWK, generateKeyPair, SignJWT } from 'jose'

/** An authorization server that is not ours, without a port: metadata, keys, introspection, and tokens by hand. */
export async function createForeignIssuer(issuer: string, clock: () => number) {
  const keys = await generateKeyPair('RS256')
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }
  const metadata: Record<string, unknown> = {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/keys`,
    introspection_endpoint: `${issuer}/introspect`,
  }
  const state = { down: false, metadata }
  const opaque = new Map<string, Record<string, unknown>>()
  const documents: Record<string, () => unknown> = {
    [`${issuer}/.well-known/oauth-authorization-server`]: () => state.metadata,
    [`${issuer}/keys`]: () => ({ keys: [jwk] }),
  }
  return {
    issuer,
    state,
    /** Tokens that are no JWT → what introspection says of them. */
    opaque,
    async fetch(url: string, init: RequestInit): Promise<Response> {
      if (state.down) throw new Error('connection refused')
      if (url === `${issuer}/introspect`) {
        const token = new URLSearchParams(String(init.body)).get('token') ?? ''
        return Response.json(opaque.get(token) ?? { active: false })
      }
      const document = documents[url]?.()
      return document ? Response.json(document) : new Response('{}', { status: 404 })
    },
    token: (claims: Record<string, unknown> = {}, typ = 'at+jwt') =>
      new SignJWT({
        iss: issuer,
        sub: 'ada',
        aud: 'http://localhost:3000/mcp',
        client_id: 'app',
        iat: clock(),
        exp: clock() + 300,
        ...claims,
      })
        .setProtectedHeader({ alg: 'RS256', kid: 'one', typ })
        .sign(keys.privateKey),
  }
}
