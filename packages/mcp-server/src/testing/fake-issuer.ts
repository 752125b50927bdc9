import { createHash, randomBytes } from 'node:crypto'
import type { Clock, Store } from '@sallyport/oauth'
import { type ExternalIssuer, externalIssuer } from '../external-issuer.ts'
import type { FakeAccount } from './fake-provider.ts'
import { testClient } from './token-requests.ts'

/** How long its tokens live, in seconds. */
const tokenSeconds = 300

/** An external issuer that lets in who the test says. */
export interface FakeIssuer {
  /** The option in place of the real one: the same issuer and audience, and no network. */
  readonly option: ExternalIssuer
  /** A token for a user through the test's client. */
  issueFor(account: FakeAccount, scopes: readonly string[]): string
  /** A token for a client by itself. */
  issueForClient(clientId: string, scopes: readonly string[]): string
  /**
   * Id of a user at the server.
   *
   * @param store where users have the id that their connections are kept under; undefined on a server without sign-in
   */
  userIdOf(account: FakeAccount, store: Pick<Store, 'findOrPutUser'> | undefined): Promise<string>
}

/**
 * Creates one in place of the real issuer. Its tokens are random texts that the server asks it about, so it needs no key.
 *
 * @param resource what the tokens are for, unless the real issuer has a name of its own for it
 */
export function createFakeIssuer(
  real: string | ExternalIssuer,
  { clock, resource }: { clock: Clock; resource: () => string },
): FakeIssuer {
  const { issuer, audience } = externalIssuer(real)
  const introspectionEndpoint = `${issuer}/test-kit/introspect`
  const issued = new Map<string, Record<string, unknown>>()
  const issue = (claims: Record<string, unknown>, scopes: readonly string[]): string => {
    const token = randomBytes(16).toString('base64url')
    issued.set(token, {
      active: true,
      iss: issuer,
      aud: audience ?? resource(),
      scope: scopes.join(' '),
      iat: clock(),
      exp: clock() + tokenSeconds,
      ...claims,
    })
    return token
  }
  const identityOf = (sub: string) =>
    createHash('sha256')
      .update(JSON.stringify([issuer, sub]))
      .digest('base64url')

  return {
    option: {
      issuer,
      ...(audience !== undefined && { audience }),
      introspection: { clientId: 'test-kit', clientSecret: 'test-kit' },
      async fetch(url, init) {
        if (String(url) === introspectionEndpoint) {
          const claims = issued.get(new URLSearchParams(String(init?.body)).get('token') ?? '')
          return Response.json(claims && Number(claims.exp) > clock() ? claims : { active: false })
        }
        return Response.json({
          issuer,
          authorization_endpoint: `${issuer}/test-kit/authorize`,
          token_endpoint: `${issuer}/test-kit/token`,
          jwks_uri: `${issuer}/test-kit/keys`,
          introspection_endpoint: introspectionEndpoint,
        })
      },
    },
    issueFor: ({ sub, authTime, acr, amr }, scopes) =>
      issue(
        {
          sub,
          client_id: testClient.clientId,
          auth_time: authTime ?? clock(),
          ...(acr !== undefined && { acr }),
          ...(amr && { amr }),
        },
        scopes,
      ),
    issueForClient: (clientId, scopes) => issue({ sub: clientId, client_id: clientId }, scopes),
    async userIdOf({ sub }, store) {
      const identityHash = identityOf(sub)
      const now = clock()
      const user = { identityHash, userId: identityHash, expiresAt: now + 400 * 86_400, now }
      return store ? store.findOrPutUser(user) : identityHash
    },
  }
}
