import { z } from 'zod'
import type { Context } from '../context.ts'
import { anotherAccount, LoginError } from '../login.ts'
import { connectOutcomePage, connectPage } from '../pages/connect-page.ts'
import { putBrowserCookie, randomText, readBrowserCookie } from '../pages/cookies.ts'
import { PageRefusal } from '../pages/refusal.ts'
import { sha256 } from '../protocol/hash.ts'
import { parseQuery, readForm, single } from '../protocol/parameters.ts'
import { operationId } from '../storage/operation-id.ts'
import { accountUrl } from './account-session.ts'
import { beginTransaction } from './begin-transaction.ts'
import { browserEndpoint, placeOf } from './browser-endpoint.ts'
import { findLogin, isSignInAccount, planConnectLegs } from './legs.ts'
import { loginFailed } from './login-failure.ts'
import { endpointPaths } from './paths.ts'
import { assertSameOrigin } from './same-origin.ts'
import { createSealedMessage, messageSeconds } from './sealed-message.ts'

const text = z.string().min(1)
const ticketSchema = z.strictObject({
  id: text,
  userId: text,
  scopes: z.array(text),
  account: text.optional(),
  expiresAt: z.int(),
})
type Ticket = z.infer<typeof ticketSchema>

/** The ticket in a link, bound to the provider in the link's path. */
const link = createSealedMessage('connect-link', 'connect-link', ticketSchema)
/** The ticket in a page, bound to provider and browser. */
const page = createSealedMessage('consent-page', 'connect-page', ticketSchema)

/** What a link is for. */
export interface ConnectLink {
  userId: string
  providerId: string
  scopes: readonly string[]
  account?: string
}

/**
 * A link with which one user, signed in, connects an account at one provider: once, within ten minutes. Nobody can
 * read from it whose it is, and it gives nothing to anybody else (R80).
 *
 * @param link.scopes provider scopes to ask for
 * @param link.account which of the user's accounts to connect again, or `anotherAccount`. Default: the one that is meant
 *   where nobody says which
 */
export function createConnectLink(
  context: Context,
  { userId, providerId, scopes, account }: ConnectLink,
): string {
  if (!findLogin(context, providerId)) throw new TypeError(`no tool of this server needs "${providerId}"`)
  const ticket: Ticket = {
    id: randomText(context.random),
    userId,
    scopes: [...scopes],
    ...(account !== undefined && { account }),
    expiresAt: context.clock() + messageSeconds,
  }
  return `${connectUrl(context, providerId)}?ticket=${link.seal(context, providerId, ticket)}`
}

/**
 * GET shows what the link would do; opening it uses nothing up, so that previews of links do no harm. POST is the
 * user's yes: it uses the link and begins with a sign-in, to see that the user is the one the link is for.
 */
export const connect = browserEndpoint(endpointPaths.connect, async (context, request) => {
  const providerId = new URL(request.url).pathname.split('/').at(-1)!
  const login = findLogin(context, providerId)
  if (login?.kind !== 'redirect') throw new PageRefusal('link_ended')
  return request.method === 'POST'
    ? begin(context, request, providerId, login.label)
    : show(context, request, providerId, login.label)
})

async function show(
  context: Context,
  request: Request,
  providerId: string,
  label: string,
): Promise<Response> {
  const sealed = single(parseQuery(request.url)).get('ticket')
  const ticket = sealed === undefined ? undefined : link.open(context, providerId, sealed)
  if (!ticket) throw new PageRefusal('link_ended')
  const browser = putBrowserCookie(context, request)
  const isOneTrip = await isSignInAccount(context, { ...ticket, providerId })
  return connectPage(
    {
      ...placeOf(context),
      label,
      scopes: ticket.scopes,
      signInLabel: isOneTrip ? undefined : context.signIn.label,
      isAnother: ticket.account === anotherAccount,
      action: connectUrl(context, providerId),
      sealedTicket: page.seal(context, pageBinding(providerId, browser.value), ticket),
    },
    browser.headers,
  )
}

async function begin(
  context: Context,
  request: Request,
  providerId: string,
  label: string,
): Promise<Response> {
  assertSameOrigin(context, request)
  const sealed = single(await readForm(request)).get('request')
  const browser = readBrowserCookie(context.issuer, request)
  const ticket = browser && sealed && page.open(context, pageBinding(providerId, browser), sealed)
  const now = context.clock()
  if (!ticket || ticket.expiresAt <= now) throw new PageRefusal('page_ended')
  const claim = await context.store.claimSingleUse({
    kind: 'connect-link',
    idHash: sha256(ticket.id),
    expiresAt: ticket.expiresAt,
    operationId: operationId(context.random),
    now,
  })
  if (claim === 'used') throw new PageRefusal('link_used')
  // After the claim: whoever has seen one link of a user must not use up what the user may do by sending it again.
  await context.limits.countUser('connect_user', ticket.userId)

  const { userId, scopes, account } = ticket
  const connect = { userId, providerId, scopes, ...(account !== undefined && { account }) }
  const isOneTrip = await isSignInAccount(context, connect)
  try {
    return await beginTransaction(context, request, {
      goal: { kind: 'connect', connect },
      legs: planConnectLegs(context, connect, isOneTrip),
      // One trip: the provider should know whom to renew, although nobody is believed to be that user yet.
      ...(isOneTrip && { userId }),
    })
  } catch (error) {
    if (!(error instanceof LoginError)) throw error
    context.emit(loginFailed(context.signIn.id, error))
    return connectOutcomePage(
      { ...placeOf(context), accountUrl: accountUrl(context), label, outcome: error.reason },
      new Headers(),
    )
  }
}

function connectUrl({ issuer }: Pick<Context, 'issuer'>, providerId: string): string {
  return `${issuer}${endpointPaths.connect}/${providerId}`
}

function pageBinding(providerId: string, browser: string): string {
  return JSON.stringify([providerId, browser])
}
