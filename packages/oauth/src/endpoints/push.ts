import { authenticateClient } from '../clients/authenticate-client.ts'
import type { Endpoint } from '../context.ts'
import { OAuthError } from '../errors.ts'
import { checkAuthorizationRequest, provenRedirectUri } from '../protocol/authorization-request.ts'
import { readForm, single } from '../protocol/parameters.ts'
import { endpointPaths } from './paths.ts'
import { pushRequest } from './pushed-request.ts'
import { json } from './respond.ts'

/**
 * Pushed authorization requests (RFC 9126 §2): the client authenticates as at the token endpoint, and hears at once
 * what is wrong with its request. The authorization endpoint checks all of it again (R62).
 */
export const push: Endpoint = async (context, request) => {
  const form = await readForm(request)
  const parameters = single(form, { repeatable: ['resource'] })
  const { client, consume } = await authenticateClient(context, request, parameters)
  // RFC 9126 §2.1: a request cannot point to another one.
  if (parameters.get('request_uri') !== undefined) {
    throw new OAuthError('invalid_request', 'The parameter request_uri cannot be pushed.')
  }
  if (provenRedirectUri(client, parameters.get('redirect_uri')) === undefined) {
    throw new OAuthError('invalid_request', 'The redirect_uri is missing, or not one of the client.')
  }
  const { dpopJkt } = checkAuthorizationRequest(parameters, client, context)
  // RFC 9449 §10.1: a proof says what dpop_jkt would. It is not remembered: whoever sends it again gets a request whose
  // code is for the same key, and strangers could fill the store (R60).
  const proof = await context.dpop?.read(request, context.issuer + endpointPaths.push)
  if (proof && dpopJkt !== undefined && dpopJkt !== proof.jkt) {
    throw new OAuthError('invalid_request', 'The parameter dpop_jkt names another key than the DPoP proof.')
  }
  if (proof) form.set('dpop_jkt', proof.jkt)
  const { requestUri, expiresIn } = pushRequest(context, client.clientId, form)
  await consume()
  const headers = proof ? (context.dpop?.nonceHeaders() ?? {}) : {}
  return json({ request_uri: requestUri, expires_in: expiresIn }, { status: 201, headers })
}
