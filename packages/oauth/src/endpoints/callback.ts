import type { Context } from '../context.ts'
import { anotherAccount, type Login, LoginError, type LoginResult, letGo } from '../login.ts'
import { accountProblemPage } from '../pages/account-page.ts'
import { type ConnectOutcome, connectOutcomePage } from '../pages/connect-page.ts'
import { dropTransactionCookie, putTransactionCookie, readTransactionCookie } from '../pages/cookies.ts'
import { guardForeignPage } from '../pages/page.ts'
import { PageRefusal } from '../pages/refusal.ts'
import { parseQuery, readForm } from '../protocol/parameters.ts'
import { operationId } from '../storage/operation-id.ts'
import { accountUrl, openAccount } from './account-session.ts'
import { browserEndpoint, placeOf } from './browser-endpoint.ts'
import { answerClient, answerWithCode, resolveUnchangedClient } from './client-answer.ts'
import { authenticationRequest, callbackUrl, findLogin, pageUrl, startLeg, transactionIdOf } from './legs.ts'
import { loginErrorAnswer, loginFailed } from './login-failure.ts'
import { endpointPaths } from './paths.ts'
import { seeOther } from './respond.ts'
import { assertSameOrigin } from './same-origin.ts'
import { signInUser } from './sign-in-user.ts'
import { StaleAuthentication } from './stale-authentication.ts'
import {
  findTransaction,
  hasHash,
  type Leg,
  type OpenTransaction,
  type Transaction,
  transactionRecord,
} from './transaction.ts'

type Awaited = NonNullable<Transaction['awaited']>

/** A callback that has been proven to belong to a transaction, a login and a browser. */
interface Return {
  open: OpenTransaction
  awaited: Awaited
  login: Login
  parameters: URLSearchParams
  /** The cookie of the transaction, for the legs that follow. */
  cookie: string
}

/**
 * The browser comes back from a login. First it is proven that this is the browser, the login and the state that
 * were sent out; until then nothing is used up and nobody upstream is asked (R66, R73, R74). Then the step is taken,
 * once, and only its taker goes on (R78).
 */
export const callback = browserEndpoint(endpointPaths.callback, async (context, request) => {
  const back = await proveReturn(context, request)
  const { login, parameters, awaited } = back
  if (login.kind === 'page') {
    const answer = await showPage(context, request, back, login)
    if (answer instanceof Response) return guardForeignPage(answer)
    return finishLeg(context, request, back, async () => answer)
  }
  return finishLeg(context, request, back, () =>
    login.finish({
      callbackUrl: callbackUrl(context, login.id),
      parameters,
      memory: awaited.memory,
      scopes: awaited.leg.scopes,
    }),
  )
})

async function proveReturn(context: Context, request: Request): Promise<Return> {
  const parameters = parseQuery(request.url)
  const [state, ...more] = parameters.getAll('state')
  const id = more.length === 0 ? transactionIdOf(state) : undefined
  const open = id === undefined ? undefined : await findTransaction(context, id)
  if (!open || state === undefined) throw new PageRefusal('sign_in_ended')

  const { awaited, cookieHash } = open.transaction
  if (!awaited) throw new PageRefusal('sign_in_used')
  // R74: each provider has its own callback, and a state begun with one does not end at another.
  const loginId = new URL(request.url).pathname.split('/').at(-1)
  const login = loginId === awaited.leg.loginId ? findLogin(context, loginId) : undefined
  // R73: 144 random bits, compared by hash; the one of an earlier leg is no good either.
  if (!login || !hasHash(state, awaited.stateHash)) throw new PageRefusal('sign_in_ended')
  // R66: whoever approved has this cookie; whoever was sent the link has not.
  const cookie = readTransactionCookie(context.issuer, request, open.id)
  if (cookie === undefined || !hasHash(cookie, cookieHash)) {
    context.emit({ type: 'sign_in_failed', loginId: login.id, reason: 'wrong_browser' })
    throw new PageRefusal('wrong_browser')
  }
  // Providers answer by redirect alone; only a page of our own has a form.
  if (request.method === 'POST' && login.kind !== 'page') throw new PageRefusal('cross_site')
  return { open, awaited, login, parameters, cookie }
}

async function showPage(
  context: Context,
  request: Request,
  { login, parameters, awaited }: Return,
  page: Extract<Login, { kind: 'page' }>,
): Promise<LoginResult | Response> {
  const isPost = request.method === 'POST'
  if (isPost) assertSameOrigin(context, request)
  return page.handle({
    request,
    url: pageUrl(context, login.id, parameters.get('state')!),
    form: isPost ? await readForm(request) : undefined,
    serverName: context.serverName,
    ...authenticationRequest(awaited.leg),
  })
}

/** Takes the step, hears who came back, and goes on: to the next leg, or to the end. */
async function finishLeg(
  context: Context,
  request: Request,
  { open, awaited, login, cookie }: Return,
  result: () => Promise<LoginResult>,
): Promise<Response> {
  const { awaited: _, ...transaction } = open.transaction
  const taken = await takeStep(context, open, transaction)
  let next = taken
  try {
    next = await completeLeg(context, taken, awaited, login, result)
  } catch (error) {
    if (error instanceof PageRefusal && error.reason === 'wrong_user') {
      context.emit({ type: 'sign_in_failed', loginId: login.id, reason: 'wrong_user' })
      await endTransaction(context, taken)
    }
    if (error instanceof StaleAuthentication) return refuseStale(context, taken, login)
    if (!(error instanceof LoginError)) throw error
    const failed = await failedLeg(context, taken, awaited.leg, error)
    if (failed) return failed
  }
  return goOn(context, request, next, cookie)
}

/** Who came back becomes the user, or gets a connection. The user stays the one who signed in. */
async function completeLeg(
  context: Context,
  open: OpenTransaction,
  awaited: Awaited,
  login: Login,
  result: () => Promise<LoginResult>,
): Promise<OpenTransaction> {
  const { transaction } = open
  const { leg, startedAt } = awaited
  if (leg.purpose === 'sign-in') {
    const trip = { leg, startedAt }
    const { user, isIncomplete } = await signInUser(context, login, trip, await result(), transaction.goal)
    const { remaining } = transaction
    const { loginId, scopes, account } = leg
    const which = account !== undefined && { account }
    // A tool needs more than this trip brought, and a second one, which names the user, can bring it.
    const again: Leg[] =
      isIncomplete && scopes.length > 0 ? [{ loginId, scopes, purpose: 'connection', ...which }] : []
    return { ...open, transaction: { ...transaction, user, remaining: [...again, ...remaining] } }
  }
  const { id: userId } = transaction.user!
  // R109: who was disabled since they signed in connects nothing. Asked before there are tokens that nobody would keep.
  if (await context.store.isUserDisabled({ userId, now: context.clock() })) throw new LoginError('disabled')
  const brought = await result()
  try {
    await brought.onUser?.(userId)
  } catch (error) {
    if (error instanceof LoginError && error.reason === 'too_many_accounts') await letGo(brought, userId)
    throw error
  }
  return open
}

/** R78: of all requests that carry the same state one gets past this; it happens before any exchange upstream. */
async function takeStep(
  context: Context,
  { id, step }: OpenTransaction,
  transaction: Transaction,
): Promise<OpenTransaction> {
  const next = { id, step: step + 1, transaction }
  await writeStep(context, id, step, next)
  return next
}

async function endTransaction(context: Context, { id, step }: OpenTransaction): Promise<void> {
  await writeStep(context, id, step, undefined)
}

async function writeStep(
  context: Context,
  id: string,
  fromStep: number,
  next: OpenTransaction | undefined,
): Promise<void> {
  const operation = operationId(context.random)
  const outcome = await context.store.stepPendingAuthorization({
    id,
    fromStep,
    next: next && transactionRecord(context, next, operation),
    operationId: operation,
    now: context.clock(),
  })
  if (outcome !== 'taken') throw new PageRefusal(outcome === 'stale' ? 'sign_in_used' : 'sign_in_ended')
}

/**
 * What a leg that failed means. Without the sign-in there is nothing to go on with. Without a connection a client
 * is signed in all the same, and the tool that needs the provider will ask again; undefined then.
 */
async function failedLeg(
  context: Context,
  open: OpenTransaction,
  leg: Leg,
  error: LoginError,
): Promise<Response | undefined> {
  const { goal } = open.transaction
  const { reason } = error
  context.emit(loginFailed(leg.loginId, error))
  if (goal.kind === 'connect') return endConnect(context, open, leg.loginId, reason)
  if (goal.kind === 'account') {
    await endTransaction(context, open)
    return accountProblemPage(
      { ...placeOf(context), accountUrl: accountUrl(context), reason },
      endedCookie(context, open),
    )
  }
  if (leg.purpose === 'connection') return undefined
  await endTransaction(context, open)
  await resolveUnchangedClient(context, goal.request)
  return answerClient(context, goal.request, loginErrorAnswer[reason], endedCookie(context, open))
}

/** The client may ask again without `max_age`, or tell its user to sign in at the provider anew. */
async function refuseStale(context: Context, open: OpenTransaction, login: Login): Promise<Response> {
  const { goal } = open.transaction
  context.emit({ type: 'sign_in_failed', loginId: login.id, reason: 'too_old' })
  await endTransaction(context, open)
  // Nobody else asks for it.
  if (goal.kind !== 'authorize') throw new PageRefusal('sign_in_ended')
  await resolveUnchangedClient(context, goal.request)
  const answer = {
    error: 'unmet_authentication_requirements',
    error_description: 'The user authenticated longer ago than max_age allows and was not asked again.',
  } as const
  return answerClient(context, goal.request, answer, endedCookie(context, open))
}

/** Starts the next leg that is still needed, or ends the transaction. */
async function goOn(
  context: Context,
  request: Request,
  open: OpenTransaction,
  cookie: string,
): Promise<Response> {
  const { user, goal, remaining, ...rest } = open.transaction
  for (const [at, leg] of remaining.entries()) {
    const login = findLogin(context, leg.loginId)
    if (!login || (await isDone(context, user!.id, leg))) continue
    try {
      const { url, awaited } = await startLeg(context, login, leg, open.id, user!.id)
      const transaction = { ...rest, user, goal, awaited, remaining: remaining.slice(at + 1) }
      await takeStep(context, open, transaction)
      const headers = new Headers()
      putTransactionCookie(headers, { issuer: context.issuer, request, id: open.id, value: cookie })
      return seeOther(url, headers)
    } catch (error) {
      if (!(error instanceof LoginError)) throw error
      const failed = await failedLeg(context, open, leg, error)
      if (failed) return failed
    }
  }
  if (goal.kind === 'connect') {
    const { userId, providerId, scopes, account } = goal.connect
    const isComplete = await context.connections.isConnected(userId, providerId, scopes, account)
    return endConnect(context, open, providerId, isComplete ? 'connected' : 'partly')
  }
  await endTransaction(context, open)
  if (goal.kind === 'account') return openAccount(context, user!.id, endedCookie(context, open))
  // R79: the code goes where the user was told, if the client still is what the user saw.
  const client = await resolveUnchangedClient(context, goal.request)
  return answerWithCode(context, client, goal.request, user!, endedCookie(context, open))
}

/** Whether a leg would bring nothing that is not there. */
async function isDone(context: Context, userId: string, leg: Leg): Promise<boolean> {
  const { loginId, scopes, account } = leg
  if (account === anotherAccount) return false
  return context.connections.isConnected(userId, loginId, scopes, account)
}

async function endConnect(
  context: Context,
  open: OpenTransaction,
  loginId: string,
  outcome: ConnectOutcome,
): Promise<Response> {
  await endTransaction(context, open)
  const label = findLogin(context, loginId)?.label ?? loginId
  return connectOutcomePage(
    { ...placeOf(context), accountUrl: accountUrl(context), label, outcome },
    endedCookie(context, open),
  )
}

function endedCookie({ issuer }: Context, { id }: OpenTransaction): Headers {
  const headers = new Headers()
  dropTransactionCookie(headers, issuer, id)
  return headers
}
