import { z } from 'zod'
import type { Context } from '../context.ts'
import { OAuthError } from '../errors.ts'
import { PageRefusal } from '../pages/refusal.ts'
import { sha256 } from '../protocol/hash.ts'
import { operationId } from '../storage/operation-id.ts'
import { createSealedMessage, messageSeconds } from './sealed-message.ts'
import type { ClientRequest } from './transaction.ts'

/**
 * Pushed authorization requests (RFC 9126). The `request_uri` is the request itself, sealed for its client: nothing is
 * stored, so that pushing cannot fill anything (R60). What is stored in the end is that it was answered.
 */

const prefix = 'urn:ietf:params:oauth:request_uri:'
/** R62: 128 bits, to tell one pushed request from its twin. */
const idBytes = 16
/** Longest request that can be pushed, in characters: its address has to fit into the head of a request again. */
const maxLength = 6_144

const pushedRequest = createSealedMessage(
  'pushed-request',
  'pushed-request',
  z.strictObject({ id: z.string().min(1), parameters: z.array(z.tuple([z.string(), z.string()])) }),
)

/** Which pushed request a consent page is about, so that it is answered once. */
export type PushedRequestMark = NonNullable<ClientRequest['pushed']>

/** Parameters that are for the endpoint a request was pushed to, and no part of the request. */
const ownParameters: readonly string[] = [
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
]

/**
 * The `request_uri` of a request that has been checked, and for how many seconds it can be used.
 *
 * @throws {OAuthError} `invalid_request` with status 413 when it is longer than an address can be
 */
export function pushRequest(
  context: Context,
  clientId: string,
  parameters: URLSearchParams,
): { requestUri: string; expiresIn: number } {
  const pushed = {
    id: Buffer.from(context.random(idBytes)).toString('base64url'),
    parameters: [...parameters].filter(([name]) => !ownParameters.includes(name)),
  }
  if (JSON.stringify(pushed).length > maxLength) {
    throw new OAuthError('invalid_request', 'The request is too long to be pushed.', { status: 413 })
  }
  return { requestUri: prefix + pushedRequest.seal(context, clientId, pushed), expiresIn: messageSeconds }
}

/** Whether a `request_uri` can be one of ours. Others are never fetched (R61). */
export function isPushedRequestUri(requestUri: string | undefined): requestUri is string {
  return requestUri?.startsWith(prefix) ?? false
}

/**
 * The request behind a `request_uri`: the parameters that were pushed and no others (RFC 9126 §4, RFC 9101 §6.3).
 *
 * @throws {OAuthError} `invalid_request_uri` when it has ended, is another client's, or is not ours
 */
export function openPushedRequest(
  context: Context,
  clientId: string,
  requestUri: string,
): { parameters: URLSearchParams; pushed: PushedRequestMark } {
  const opened = pushedRequest.open(context, clientId, requestUri.slice(prefix.length))
  if (!opened) {
    throw new OAuthError(
      'invalid_request_uri',
      'The pushed request has ended, or is not of this client. Push it again.',
    )
  }
  const { id, parameters } = opened
  return {
    parameters: new URLSearchParams([...parameters, ['client_id', clientId]]),
    // It ends at the latest so long after this; a mark that stays longer does no harm.
    pushed: { id, expiresAt: context.clock() + 2 * messageSeconds },
  }
}

/**
 * Uses a pushed request up, when its user has decided: a page that is loaded again before that must still work (R62).
 *
 * @throws {PageRefusal} `page_ended` when it has been decided before
 * @throws {StoreUnavailableError}
 */
export async function claimPushedRequest(
  { store, random, clock }: Pick<Context, 'store' | 'random' | 'clock'>,
  { id, expiresAt }: PushedRequestMark,
): Promise<void> {
  const outcome = await store.claimSingleUse({
    kind: 'jti',
    idHash: sha256(JSON.stringify(['pushed-request', id])),
    expiresAt,
    operationId: operationId(random),
    now: clock(),
  })
  if (outcome === 'used') throw new PageRefusal('page_ended')
}
