import { authenticateClient } from '../clients/authenticate-client.ts'
import type { Client } from '../clients/client.ts'
import type { Context, Endpoint } from '../context.ts'
import { OAuthError } from '../errors.ts'
import { unauthorizedClient } from '../grants/grant-rules.ts'
import { findGrantHandler } from '../grants/index.ts'
import { readForm, single } from '../protocol/parameters.ts'
import type { DpopProof } from '../tokens/dpop-proofs.ts'
import { endpointPaths } from './paths.ts'
import { json } from './respond.ts'

/**
 * The token endpoint (OAuth 2.1 §3.2): who is asking, then the grant that `grant_type` names. The client
 * authenticates before anything else is looked at, whatever the grant (R85).
 */
export const token: Endpoint = async (context, request) => {
  const parameters = single(await readForm(request), { repeatable: ['resource'] })
  const authentication = await authenticateClient(context, request, parameters)
  const { client } = authentication
  const grantType = parameters.get('grant_type')
  if (grantType === undefined) throw new OAuthError('invalid_request', 'The parameter grant_type is missing.')
  const grant = context.grantTypes.includes(grantType) ? findGrantHandler(grantType) : undefined
  if (!grant) {
    throw new OAuthError('unsupported_grant_type', 'This grant_type is not supported.')
  }
  // R90, R109: registered for it now, whatever it was when the user consented.
  if (!client.grantTypes.includes(grantType)) throw unauthorizedClient()
  const proof = await provenKey(context, client, request)
  let isConsumed = false
  const consume = async () => {
    await authentication.consume()
    if (proof) await context.dpop?.claim(proof)
    isConsumed = true
  }
  const response = await grant(context, client, parameters, consume, proof?.jkt)
  // R118: a grant that forgot would let assertions be replayed.
  if (!isConsumed) throw new Error('the grant did not consume the client authentication')
  // R159: a grant that forgot would hand out a bearer token to who asked for better.
  if ((response.token_type === 'DPoP') !== (proof !== undefined)) {
    throw new Error('the grant did not bind the token to the key')
  }
  return json(response, { headers: proof ? (context.dpop?.nonceHeaders() ?? {}) : {} })
}

/**
 * The key that the tokens of this request shall be bound to; undefined for bearer tokens.
 *
 * @throws {OAuthError} `invalid_dpop_proof`, `use_dpop_nonce`
 */
async function provenKey(
  { dpop, issuer }: Context,
  client: Client,
  request: Request,
): Promise<DpopProof | undefined> {
  const proof = await dpop?.read(request, issuer + endpointPaths.token)
  // RFC 9449 §5.2
  if (dpop && !proof && client.dpopBoundAccessTokens) {
    throw new OAuthError('invalid_dpop_proof', 'This client always proves a key: the DPoP proof is missing.')
  }
  return proof
}
