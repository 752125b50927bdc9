import type { Context } from '../context.ts'
import { sha256 } from '../protocol/hash.ts'
import type { Parameters } from '../protocol/parameters.ts'
import type { Client } from './client.ts'
import { compareWithNobody } from './hashed-secret.ts'
import { invalidClient, type PresentedCredentials, presentedCredentials } from './presented-credentials.ts'

/** A client that has shown who it is. */
export interface ClientAuthentication {
  /** Its `tokenEndpointAuthMethod` is the one it used. */
  client: Client
  /**
   * Uses up what it was shown with, if that works once only: a client assertion. Called when everything that can
   * fail without using something up has passed, and before anything else is used up (R91).
   *
   * @throws {OAuthError} `invalid_client` when the assertion has been used before (R118)
   * @throws {StoreUnavailableError}
   */
  consume(): Promise<void>
}

/**
 * Authenticates the client of a request to the token or revocation endpoint (OAuth 2.1 §2.4): exactly one method, and
 * the one the client is registered with (R84, R85).
 *
 * An unknown client, a wrong secret, the wrong method and no client at all get one and the same answer (R87).
 *
 * @throws {OAuthError} `invalid_client` (401), `invalid_request` when there is more than one method,
 *   `temporarily_unavailable` when a metadata document or the keys of the client could not be fetched (503), or after
 *   too many requests (429)
 * @throws {StoreUnavailableError}
 */
export async function authenticateClient(
  { clients, assertions, emit, limits }: Pick<Context, 'clients' | 'assertions' | 'emit' | 'limits'>,
  request: Request,
  parameters: Pick<Parameters, 'get'>,
): Promise<ClientAuthentication> {
  const authorization = request.headers.get('authorization')
  const presented = presentedCredentials(authorization, parameters)
  const assertion =
    presented?.method === 'private_key_jwt' ? assertions.parse(presented.assertion) : undefined
  // R116: who an assertion is for is what it says; naming somebody else beside it is a contradiction.
  const clientId =
    presented?.method !== 'private_key_jwt'
      ? presented?.clientId
      : presented.clientId === undefined || presented.clientId === assertion?.clientId
        ? assertion?.clientId
        : undefined
  // Who shows nothing guesses nothing, and must hear 401 to register again.
  const isProving = presented !== undefined && presented.method !== 'none'
  const refusal = async (cause?: unknown) => {
    if (clientId !== undefined) {
      emit({ type: 'client_authentication_failed', clientIdHash: sha256(clientId) })
      if (isProving) await limits.countFailedAuthentication(clientId)
    }
    return invalidClient(authorization !== null, cause)
  }
  if (!presented || clientId === undefined) throw await refusal()
  // R88: before the secret or assertion is looked at.
  if (isProving) await limits.assertMayAuthenticate(clientId)

  const client = await clients.resolveClient(clientId)
  if (!assertion) {
    const isProven = isSecretProven(client, presented)
    if (!client || !isProven || client.tokenEndpointAuthMethod !== presented.method) throw await refusal()
    if (isProving) await limits.countClient(client.clientId)
    return { client, consume: async () => {} }
  }
  const proof = client?.assertion && (await assertions.verify(client.clientId, client.assertion, assertion))
  if (!client || !proof) throw await refusal()
  await limits.countClient(client.clientId)
  return {
    // A client that may come without a key, too, is as good as the way it came.
    client: { ...client, tokenEndpointAuthMethod: 'private_key_jwt' },
    async consume() {
      if (!(await proof.claim())) throw await refusal('assertion was used before')
    },
  }
}

/** R87: for a client that does not exist or has no secret, a comparison is made all the same. */
function isSecretProven(client: Client | undefined, presented: PresentedCredentials): boolean {
  const secret = 'clientSecret' in presented ? presented.clientSecret : undefined
  if (client?.isSecret) return client.isSecret(secret ?? '')
  compareWithNobody(secret ?? '')
  return client !== undefined && secret === undefined
}
