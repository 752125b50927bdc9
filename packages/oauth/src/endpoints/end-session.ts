import { z } from 'zod'
import type { Client } from '../clients/client.ts'
import type { Context } from '../context.ts'
import { dropBrowserCookie, putBrowserCookie, readBrowserCookie } from '../pages/cookies.ts'
import { endSessionOutcomePage, endSessionPage } from '../pages/end-session-page.ts'
import { PageRefusal } from '../pages/refusal.ts'
import { parseQuery, readForm, single } from '../protocol/parameters.ts'
import { appendResponseParameters } from '../protocol/redirect-uri.ts'
import { operationId } from '../storage/operation-id.ts'
import { readIdTokenHint } from '../tokens/id-token.ts'
import { browserEndpoint, placeOf } from './browser-endpoint.ts'
import { endpointPaths } from './paths.ts'
import { seeOther } from './respond.ts'
import { assertSameOrigin } from './same-origin.ts'
import { createSealedMessage } from './sealed-message.ts'

const text = z.string().min(1)
const signOutSchema = z.strictObject({
  grantId: text,
  clientId: text,
  postLogoutRedirectUri: text.optional(),
  state: z.string().max(4096).optional(),
})

/** The request inside the page that asks, bound to the browser that was shown it (R65). */
const page = createSealedMessage('consent-page', 'end-session-page', signOutSchema)

/**
 * A client asks to sign its user out (OpenID Connect RP-Initiated Logout §2). No cookie stands for a client's
 * session, so the id_token says which one is meant, and the user is asked: an id_token is no secret that ends sessions
 * by itself.
 */
export const endSession = browserEndpoint(endpointPaths.endSession, async (context, request) => {
  const parameters = single(request.method === 'POST' ? await readForm(request) : parseQuery(request.url))
  const value = parameters.get('id_token_hint')
  const hint = value === undefined ? undefined : await readIdTokenHint(context, value)
  const clientId = parameters.get('client_id')
  if (!hint || (clientId !== undefined && clientId !== hint.clientId)) {
    throw new PageRefusal('sign_out_unknown')
  }
  const client = await context.clients.resolveClient(hint.clientId)
  if (!client) throw new PageRefusal('unknown_client')
  const postLogoutRedirectUri = parameters.get('post_logout_redirect_uri')
  assertRegistered(client, postLogoutRedirectUri)
  const browser = putBrowserCookie(context, request)
  const asked = { grantId: hint.grantId, clientId: hint.clientId, postLogoutRedirectUri }
  // Of no use without an address to take it to.
  const state = postLogoutRedirectUri === undefined ? undefined : parameters.get('state')
  const message = signOutSchema.safeParse({ ...asked, state })
  if (!message.success) throw new PageRefusal('sign_out_unknown')
  return endSessionPage(
    {
      ...placeOf(context),
      client,
      action: context.issuer + endpointPaths.endSessionAnswer,
      sealedRequest: page.seal(context, browser.value, message.data),
    },
    browser.headers,
  )
})

/** Takes the user's answer; only what the page carries is believed. */
export const endSessionAnswer = browserEndpoint(endpointPaths.endSessionAnswer, async (context, request) => {
  assertSameOrigin(context, request)
  const form = single(await readForm(request))
  const browser = readBrowserCookie(context.issuer, request)
  const sealed = form.get('request')
  const asked = browser && sealed && page.open(context, browser, sealed)
  const decision = form.get('decision')
  if (!asked || (decision !== 'sign-out' && decision !== 'stay')) throw new PageRefusal('page_ended')
  const headers = new Headers()
  dropBrowserCookie(context.issuer, headers)
  if (decision === 'stay') return endSessionOutcomePage({ ...placeOf(context), outcome: 'stayed' }, headers)

  const { grantId, clientId, postLogoutRedirectUri, state } = asked
  const client = await context.clients.resolveClient(clientId)
  if (!client) throw new PageRefusal('unknown_client')
  assertRegistered(client, postLogoutRedirectUri)
  await endGrant(context, grantId)
  if (postLogoutRedirectUri === undefined) {
    return endSessionOutcomePage({ ...placeOf(context), outcome: 'signed_out' }, headers)
  }
  return seeOther(
    appendResponseParameters(postLogoutRedirectUri, { ...(state !== undefined && { state }) }),
    headers,
  )
})

/** R41: byte for byte, without the exception for loopback ports; otherwise this would send browsers anywhere. */
function assertRegistered(
  { postLogoutRedirectUris }: Pick<Client, 'postLogoutRedirectUris'>,
  uri: string | undefined,
): void {
  if (uri !== undefined && !postLogoutRedirectUris.includes(uri)) {
    throw new PageRefusal('unregistered_sign_out_uri')
  }
}

/** A session that has ended already is what was wanted. */
async function endGrant({ store, random, clock, emit }: Context, id: string): Promise<void> {
  const step = { id, reason: 'user', operationId: operationId(random), now: clock() } as const
  if ((await store.revokeGrant(step)) === 'revoked') emit({ type: 'family_revoked', grantId: id, by: 'user' })
}
