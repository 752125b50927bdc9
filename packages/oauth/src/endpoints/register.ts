import { parseClientMetadata } from '../clients/client-metadata.ts'
import { packClientId, registeredClientSecret } from '../clients/registered-client.ts'
import type { Endpoint } from '../context.ts'
import { sha256 } from '../protocol/hash.ts'
import { readJsonObject } from '../protocol/parameters.ts'
import { json } from './respond.ts'

/** Metadata that is worth 2 KB may come with inline keys, translations and statements that are not kept. */
const maxBodyBytes = 65_536

/**
 * Dynamic client registration (RFC 7591 §3). Nothing is stored: the client_id carries the registration (R21, R22).
 * There is no management of registrations (RFC 7592), and no `registration_client_uri` that would promise it (R20).
 */
export const register: Endpoint = async (context, request) => {
  // R13
  if (!context.dynamicRegistration) return new Response(null, { status: 404 })
  const document = await readJsonObject(request, maxBodyBytes)
  const requested = parseClientMetadata(document, {
    schemes: context.redirectUriSchemes,
    identityAssertions: context.identityAssertions !== undefined,
  })
  // R5: a promise to prove a key is kept where keys can be proven, and registered there only.
  const metadata = context.dpop ? requested : { ...requested, dpop_bound_access_tokens: undefined }
  const { clientId, issuedAt } = packClientId(context, metadata)
  context.emit({ type: 'client_registered', clientIdHash: sha256(clientId) })
  // R19: defaults are returned as registered, and a client that uses none gets no secret.
  const secret = metadata.token_endpoint_auth_method.startsWith('client_secret_') && {
    client_secret: registeredClientSecret(context.secrets, clientId),
    client_secret_expires_at: 0,
  }
  return json({ client_id: clientId, client_id_issued_at: issuedAt, ...secret, ...metadata }, { status: 201 })
}
