import type { Client } from '../clients/client.ts'
import type { Context } from '../context.ts'
import type { OAuthErrorCode } from '../errors.ts'
import { lifetimesOf } from '../grants/grant-rules.ts'
import { PageRefusal } from '../pages/refusal.ts'
import { provenRedirectUri } from '../protocol/authorization-request.ts'
import { sha256 } from '../protocol/hash.ts'
import { appendResponseParameters } from '../protocol/redirect-uri.ts'
import type { Grant } from '../storage/records.ts'
import { mintAuthorizationCode, newGrantId } from '../tokens/token-value.ts'
import { seeOther } from './respond.ts'
import type { ClientRequest, Transaction } from './transaction.ts'

/** Answers of the authorization endpoint: what goes back to a client's redirect URI (RFC 6749 §4.1.2). */

/**
 * The client as it is now, if it still is what the user was shown: it may have been deleted or have changed since
 * (R36, R79).
 *
 * @throws {PageRefusal} `client_changed`
 * @throws {OAuthError} `temporarily_unavailable`
 */
export async function resolveUnchangedClient(context: Context, shown: ClientRequest): Promise<Client> {
  const client = await context.clients.resolveClient(shown.clientId)
  if (
    client === undefined ||
    client.clientName !== shown.clientName ||
    provenRedirectUri(client, shown.redirectUri) === undefined
  ) {
    throw new PageRefusal('client_changed')
  }
  return client
}

/**
 * Sends parameters to a redirect URI that has been proven: `state` as it came (R46), and who answers (R58). Without a
 * fragment of its own (R53): what a browser might carry over is not the client's, whose request has ended in a form.
 */
export function answerClient(
  { issuer }: Pick<Context, 'issuer'>,
  { redirectUri, state }: Pick<ClientRequest, 'redirectUri' | 'state'>,
  parameters: { code: string } | { error: OAuthErrorCode; error_description?: string },
  headers?: Headers,
): Response {
  const all = { ...parameters, ...(state !== undefined && { state }), iss: issuer }
  return seeOther(appendResponseParameters(redirectUri, all), headers)
}

/**
 * Opens a token family and answers with its authorization code, of which the store gets the hash (R57).
 *
 * @throws {StoreUnavailableError}
 */
export async function answerWithCode(
  context: Context,
  client: Client,
  request: ClientRequest,
  user: NonNullable<Transaction['user']>,
  headers: Headers,
): Promise<Response> {
  const { store, random, lifetimes, emit } = context
  const now = context.clock()
  const id = newGrantId(random)
  const code = mintAuthorizationCode(random, id)
  const { sessionMaxAgeSeconds } = lifetimesOf(context, client, request.scopes)
  const record: Grant = {
    version: 1,
    id,
    userId: user.id,
    clientId: request.clientId,
    ...(request.clientName !== undefined && { clientName: request.clientName }),
    redirectUri: request.redirectUri,
    resource: request.resource,
    scopes: request.scopes,
    ...(user.authTime !== undefined && { authTime: user.authTime }),
    amr: user.amr,
    ...(user.acr !== undefined && { acr: user.acr }),
    createdAt: now,
    endsAt: sessionMaxAgeSeconds === 0 ? 0 : now + sessionMaxAgeSeconds,
    accessEndsAt: 0,
    code: {
      hash: code.hash,
      challenge: request.codeChallenge,
      expiresAt: now + lifetimes.authorizationCodeSeconds,
      failures: 0,
      ...(request.nonce !== undefined && { nonce: request.nonce }),
      ...(request.dpopJkt !== undefined && { dpopJkt: request.dpopJkt }),
    },
  }
  await store.putGrant({ record, now })
  emit({ type: 'code_issued', grantId: id, userId: user.id, clientIdHash: sha256(request.clientId) })
  return answerClient(context, request, { code: code.value }, headers)
}
