import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createLocalJWKSet, exportJWK, generateKeyPair, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import { Agent, fetch as undiciFetch } from 'undici'
import { serveHttps } from './https-server.ts'

/** A company's identity provider: its employees are signed in, and its policy lets one client use one server. */
export interface IdentityProvider {
  issuer: string
  /** File with the certificate, for `NODE_EXTRA_CA_CERTS` of who fetches its keys. */
  certificatePath: string
  /** What the client has at the identity provider, which is not what it has at the server. */
  client: { clientId: string; clientSecret: string }
  /** `fetch` that trusts its certificate. */
  fetch: typeof fetch
  /** The id_token the client got when this employee signed in to it. */
  idTokenOf(subject: string): Promise<string>
  /** Paths that were asked for. */
  asked(): readonly string[]
  close(): Promise<void>
}

const client = { clientId: 'client-at-the-idp', clientSecret: 'client-secret-at-the-idp' }

/**
 * Starts an identity provider that answers token exchange with ID-JAGs (RFC 8693,
 * draft-ietf-oauth-identity-assertion-authz-grant §4.3).
 *
 * @param clientIdAtServer the client's id at whatever server it wants to use
 */
export async function startIdentityProvider(clientIdAtServer: string): Promise<IdentityProvider> {
  const { privateKey, publicKey } = await generateKeyPair('RS256')
  const jwk = { ...(await exportJWK(publicKey)), kid: 'idp-1', alg: 'RS256', use: 'sig' }
  const keys = createLocalJWKSet({ keys: [jwk] })
  const asked: string[] = []
  let issuer = ''

  const sign = (typ: string, claims: JWTPayload) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256', kid: 'idp-1', typ })
      .setIssuer(issuer)
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey)

  /** What the client asked for, as far as the policy lets it: everything but `admin`. */
  const exchange = async (form: URLSearchParams): Promise<[status: number, body: object]> => {
    const isExchange =
      form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:token-exchange' &&
      form.get('requested_token_type') === 'urn:ietf:params:oauth:token-type:id-jag' &&
      form.get('subject_token_type') === 'urn:ietf:params:oauth:token-type:id_token'
    if (!isExchange) return [400, { error: 'unsupported_grant_type' }]
    if (form.get('client_id') !== client.clientId || form.get('client_secret') !== client.clientSecret) {
      return [401, { error: 'invalid_client' }]
    }
    const { payload } = await jwtVerify(form.get('subject_token') ?? '', keys, {
      issuer,
      audience: client.clientId,
      typ: 'JWT',
    })
    const scope = (form.get('scope') ?? '').split(' ').filter(name => name !== '' && name !== 'admin')
    const assertion = await sign('oauth-id-jag+jwt', {
      jti: randomUUID(),
      sub: payload.sub ?? '',
      aud: form.get('audience') ?? '',
      resource: form.get('resource'),
      client_id: clientIdAtServer,
      ...(scope.length > 0 && { scope: scope.join(' ') }),
    })
    return [
      200,
      {
        issued_token_type: 'urn:ietf:params:oauth:token-type:id-jag',
        access_token: assertion,
        token_type: 'N_A',
        expires_in: 300,
      },
    ]
  }

  const answer = async (request: IncomingMessage): Promise<[status: number, body: object]> => {
    const path = request.url ?? ''
    asked.push(path)
    if (path === '/.well-known/oauth-authorization-server' || path === '/.well-known/openid-configuration') {
      const metadata = {
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/keys`,
        response_types_supported: ['code'],
      }
      return [200, metadata]
    }
    if (path === '/keys') return [200, { keys: [jwk] }]
    if (path !== '/token') return [404, {}]
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    return exchange(new URLSearchParams(Buffer.concat(chunks).toString()))
  }

  const server = await serveHttps((request, response) => {
    answer(request)
      .catch((): [number, object] => [400, { error: 'invalid_request' }])
      .then(([status, body]) => {
        response.writeHead(status, { 'content-type': 'application/json' })
        response.end(JSON.stringify(body))
      })
  })
  issuer = server.origin
  const dispatcher = new Agent({ connect: { ca: server.certificate } })
  return {
    issuer,
    certificatePath: server.certificatePath,
    client,
    fetch: ((url: string | URL, init: object) => undiciFetch(url, { ...init, dispatcher })) as typeof fetch,
    idTokenOf: subject => sign('JWT', { sub: subject, aud: client.clientId }),
    asked: () => asked,
    async close() {
      await dispatcher.close()
      await server.close()
    },
  }
}
