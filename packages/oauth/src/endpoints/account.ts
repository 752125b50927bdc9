import { z } from 'zod'
import type { Context } from '../context.ts'
import { LoginError } from '../login.ts'
import {
  type AccountForm,
  accountPage,
  accountProblemPage,
  accountSignInPage,
} from '../pages/account-page.ts'
import { putBrowserCookie, readBrowserCookie } from '../pages/cookies.ts'
import { readForm, single } from '../protocol/parameters.ts'
import { operationId } from '../storage/operation-id.ts'
import { summarizeConnection, summarizeGrant } from '../storage/summaries.ts'
import { accountUrl, accountUser, closeAccount } from './account-session.ts'
import { beginTransaction } from './begin-transaction.ts'
import { browserEndpoint, placeOf } from './browser-endpoint.ts'
import { findLogin } from './legs.ts'
import { endpointPaths } from './paths.ts'
import { seeOther } from './respond.ts'
import { assertSameOrigin } from './same-origin.ts'
import { createSealedMessage } from './sealed-message.ts'

const text = z.string().min(1)
const actionSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('sign-in') }),
  z.strictObject({ kind: z.literal('sign-out') }),
  z.strictObject({ kind: z.literal('revoke'), userId: text, grantId: text }),
  z.strictObject({ kind: z.literal('disconnect'), userId: text, provider: text, account: text }),
])
type Action = z.infer<typeof actionSchema>

/** What a button does, bound to the cookie of the browser that was shown it (R65). */
const button = createSealedMessage('consent-page', 'account-page', actionSchema)

/**
 * The user's own page (R72): which clients have access, what is connected, and a button to end each. Nothing is stored
 * for whoever opens it without being signed in.
 */
export const account = browserEndpoint(endpointPaths.account, (context, request) =>
  request.method === 'POST' ? act(context, request) : show(context, request),
)

async function show(context: Context, request: Request): Promise<Response> {
  const { signIn, store } = context
  const now = context.clock()
  const userId = await accountUser(context, request)
  const browser = putBrowserCookie(context, request)
  const form = (action: Action): AccountForm => ({
    action: accountUrl(context),
    sealed: button.seal(context, browser.value, action),
  })
  const place = placeOf(context)
  if (userId === undefined) {
    const page = { ...place, signInLabel: signIn.label, signIn: form({ kind: 'sign-in' }) }
    return accountSignInPage(page, browser.headers)
  }
  const [grants, connections] = await Promise.all([
    store.listGrants({ userId, now }),
    store.listConnections({ userId, now }),
  ])
  return accountPage(
    {
      ...place,
      grants: grants.map(summarizeGrant).map(grant => ({
        ...grant,
        words: grant.scopes.map(scope =>
          Object.hasOwn(context.scopes, scope) ? context.scopes[scope]! : scope,
        ),
        revoke: form({ kind: 'revoke', userId, grantId: grant.grantId }),
      })),
      connections: connections.map(connection => {
        const { provider, account, ...rest } = summarizeConnection(connection, now)
        return {
          ...rest,
          label: findLogin(context, provider)?.label ?? provider,
          account,
          disconnect: form({ kind: 'disconnect', userId, provider, account }),
        }
      }),
      signOut: form({ kind: 'sign-out' }),
    },
    browser.headers,
  )
}

async function act(context: Context, request: Request): Promise<Response> {
  assertSameOrigin(context, request)
  const sealed = single(await readForm(request)).get('request')
  const browser = readBrowserCookie(context.issuer, request)
  const action = browser && sealed && button.open(context, browser, sealed)
  const again = () => seeOther(accountUrl(context), new Headers())
  // Too old, or from another browser: the page itself says how to go on.
  if (!action) return again()
  if (action.kind === 'sign-in') return signInToAccount(context, request)
  if (action.kind === 'sign-out') return closeAccount(context)
  // The session may have ended, or another user signed in, since the page was made.
  if ((await accountUser(context, request)) === action.userId) await end(context, action)
  return again()
}

async function signInToAccount(context: Context, request: Request): Promise<Response> {
  const { id } = context.signIn
  try {
    return await beginTransaction(context, request, {
      goal: { kind: 'account' },
      legs: [{ loginId: id, scopes: [], purpose: 'sign-in' }],
    })
  } catch (error) {
    if (!(error instanceof LoginError)) throw error
    context.emit({ type: 'sign_in_failed', loginId: id, reason: error.reason })
    return accountProblemPage({ ...placeOf(context), reason: error.reason }, new Headers())
  }
}

/** Ends what the button names, if it is still there and still this user's. */
async function end(
  { store, clock, random, emit }: Context,
  action: Extract<Action, { userId: string }>,
): Promise<void> {
  const now = clock()
  const by = 'user'
  const { userId } = action
  if (action.kind === 'revoke') {
    const { grantId } = action
    const grant = await store.findGrant({ id: grantId, now })
    if (grant?.userId !== userId) return
    const step = { id: grantId, reason: by, operationId: operationId(random), now } as const
    if ((await store.revokeGrant(step)) === 'revoked') emit({ type: 'family_revoked', grantId, by })
    return
  }
  const { provider, account } = action
  const key = { userId, provider, account, now }
  if (!(await store.findConnection(key))) return
  await store.deleteConnection(key)
  emit({ type: 'connection_ended', userId, provider, by })
}
