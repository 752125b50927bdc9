import { z } from 'zod'
import type { Context } from '../context.ts'
import { disconnect } from '../disconnect.ts'
import { anotherAccount, type Login, LoginError } from '../login.ts'
import {
  type AccountForm,
  accountPage,
  accountProblemPage,
  accountSignInPage,
} from '../pages/account-page.ts'
import { putBrowserCookie, readBrowserCookie } from '../pages/cookies.ts'
import { readForm, single } from '../protocol/parameters.ts'
import { rankConnections } from '../storage/default-connection.ts'
import { operationId } from '../storage/operation-id.ts'
import { preferAccount } from '../storage/prefer-account.ts'
import { summarizeConnections, summarizeGrant } from '../storage/summaries.ts'
import { accountUrl, accountUser, closeAccount } from './account-session.ts'
import { beginTransaction } from './begin-transaction.ts'
import { browserEndpoint, placeOf } from './browser-endpoint.ts'
import { createConnectLink } from './connect.ts'
import { findLogin } from './legs.ts'
import { loginFailed } from './login-failure.ts'
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
  z.strictObject({ kind: z.literal('prefer'), userId: text, provider: text, account: text }),
  z.strictObject({ kind: z.literal('connect'), userId: text, provider: text }),
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
    const signInForm = form({ kind: 'sign-in' })
    const showsApps = !context.connectionsOnly
    const page = { ...place, signInLabel: signIn.label, showsApps, signIn: signInForm }
    return accountSignInPage(page, browser.headers)
  }
  const [grants, connections] = await Promise.all([
    store.listGrants({ userId, now }),
    store.listConnections({ userId, now }),
  ])
  const summaries = summarizeConnections(connections, now)
  return accountPage(
    {
      ...place,
      grants: context.connectionsOnly
        ? undefined
        : grants.map(summarizeGrant).map(grant => ({
            ...grant,
            words: grant.scopes.map(scope =>
              Object.hasOwn(context.scopes, scope) ? context.scopes[scope]! : scope,
            ),
            revoke: form({ kind: 'revoke', userId, grantId: grant.grantId }),
          })),
      providers: await Promise.all(
        [...new Set(summaries.map(({ provider }) => provider))].map(async provider => {
          const login = findLogin(context, provider)
          const names = login && (await context.connections.accountLabels?.(userId, provider))
          const own = summaries.filter(each => each.provider === provider)
          return {
            label: login?.label ?? provider,
            accounts: own.map(({ account, ...rest }) => ({
              ...rest,
              name: names?.get(account),
              disconnect: form({ kind: 'disconnect', userId, provider, account }),
              prefer: rest.isDefault ? undefined : form({ kind: 'prefer', userId, provider, account }),
            })),
            connect: takesAnother(login) ? form({ kind: 'connect', userId, provider }) : undefined,
          }
        }),
      ),
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
  if ((await accountUser(context, request)) !== action.userId) return again()
  if (action.kind === 'connect') return await connectAnother(context, action)
  if (action.kind === 'prefer') await preferAccount(context, action)
  else await end(context, action)
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
    context.emit(loginFailed(id, error))
    return accountProblemPage(
      { ...placeOf(context), accountUrl: accountUrl(context), reason: error.reason },
      new Headers(),
    )
  }
}

/** To the page that says what comes, with a link like those that tools give out: it works for this user, once. */
async function connectAnother(
  context: Context,
  { userId, provider }: Extract<Action, { kind: 'connect' }>,
): Promise<Response> {
  if (!takesAnother(findLogin(context, provider))) return seeOther(accountUrl(context), new Headers())
  const scopes = await scopesForAnother(context, userId, provider)
  const link = { userId, providerId: provider, scopes, account: anotherAccount }
  return seeOther(createConnectLink(context, link), new Headers())
}

/**
 * What a further account is asked for: what tools need that the one in use has, or that a tool has missed. A tool that
 * needs more asks for it when it is used.
 */
async function scopesForAnother(context: Context, userId: string, provider: string): Promise<string[]> {
  const { needs } = context.connections.plan(Object.keys(context.scopes))
  const needed = needs.find(({ login }) => login.id === provider)?.scopes ?? []
  const all = await context.store.listConnections({ userId, now: context.clock() })
  const [inUse] = rankConnections(all.filter(each => each.provider === provider))
  if (!inUse) return []
  const known = new Set([...inUse.scopes, ...(inUse.missingScopes ?? [])])
  const has = await Promise.all(
    needed.map(
      async scope =>
        known.has(scope) || context.connections.isConnected(userId, provider, [scope], inUse.account),
    ),
  )
  return needed.filter((_, at) => has[at])
}

/** Whether a user can connect a further account there; where they have one only, it would take the place of the first. */
function takesAnother(login: Login | undefined): boolean {
  return login?.kind === 'redirect' && !login.hasOneAccount
}

/** Ends what the button names, if it is still there and still this user's. */
async function end(
  context: Context,
  action: Extract<Action, { kind: 'revoke' | 'disconnect' }>,
): Promise<void> {
  const { store, clock, random, emit } = context
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
  await disconnect(context, { userId, provider, account }, by)
}
