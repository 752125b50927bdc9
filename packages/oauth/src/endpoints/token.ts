import { authenticateClient } from '../clients/authenticate-client.ts'
import type { Endpoint } from '../context.ts'
import { OAuthError } from '../errors.ts'
import { findGrantHandler } from '../grants/index.ts'
import { readForm, single } from '../protocol/parameters.ts'
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
  if (!client.grantTypes.includes(grantType)) {
    throw new OAuthError('unauthorized_client', 'The client is not registered for this grant_type.')
  }
  let isConsumed = false
  const response = await grant(context, client, parameters, async () => {
    await authentication.consume()
    isConsumed = true
  })
  // R118: a grant that forgot would let assertions be replayed.
  if (!isConsumed) throw new Error('the grant did not consume the client authentication')
  return json(response)
}
