import type { Context } from '../context.ts'
import { type AuthenticationRequest, anotherAccount, type Login } from '../login.ts'
import { randomText } from '../pages/cookies.ts'
import { sha256 } from '../protocol/hash.ts'
import { endpointPaths } from './paths.ts'
import type { ClientRequest, ConnectGoal, Leg, Transaction } from './transaction.ts'

/** Our callback URL of a login: from configuration, never from a request (R3); one per provider (R74). */
export function callbackUrl({ issuer }: Pick<Context, 'issuer'>, loginId: string): string {
  return `${issuer}${endpointPaths.callback}/${loginId}`
}

/** The login of that id: the one users sign in with, or that of a provider some tool needs. */
export function findLogin(
  { signIn, connections, scopes }: Pick<Context, 'signIn' | 'connections' | 'scopes'>,
  id: string,
): Login | undefined {
  if (signIn.id === id) return signIn
  return connections.plan(Object.keys(scopes)).needs.find(({ login }) => login.id === id)?.login
}

/**
 * Where a sign-in for these scopes leads: to the sign-in first, and to each further provider once.
 *
 * @param asked what the client asks of the authentication
 */
export function planLegs(
  { signIn, connections }: Pick<Context, 'signIn' | 'connections'>,
  scopes: readonly string[],
  asked: Pick<ClientRequest, 'maxAgeSeconds' | 'prompts' | 'acrValues'> = {},
): [Leg, ...Leg[]] {
  const { needs } = connections.plan(scopes)
  // One trip does both where the user signs in with a provider that a tool needs.
  const signInScopes = needs.find(({ login }) => login.id === signIn.id)?.scopes ?? []
  return [
    { loginId: signIn.id, scopes: [...signInScopes], purpose: 'sign-in', ...authenticationOf(asked, signIn) },
    ...needs
      .filter(({ login, isLater }) => login.id !== signIn.id && !isLater)
      .map(({ login, scopes }): Leg => ({ loginId: login.id, scopes: [...scopes], purpose: 'connection' })),
  ]
}

/** What a login is told of the client's wishes: only what it says it can do. */
function authenticationOf(
  { maxAgeSeconds, prompts = [], acrValues }: Parameters<typeof planLegs>[2] & object,
  login: Pick<Login, 'prompts'>,
): Pick<Leg, 'maxAgeSeconds' | 'prompts' | 'acrValues'> {
  const honoured = prompts.filter(prompt => login.prompts?.includes(prompt))
  const reauthenticates = login.prompts?.includes('login') === true
  return {
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
    ...(honoured.length > 0 && { prompts: honoured }),
    ...(acrValues !== undefined && reauthenticates && { acrValues }),
  }
}

/** The part of a leg that a login is told when it starts. */
export function authenticationRequest({ maxAgeSeconds, prompts, acrValues }: Leg): AuthenticationRequest {
  return {
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
    ...(prompts && { prompts }),
    ...(acrValues !== undefined && { acrValues }),
  }
}

/**
 * Where connecting one provider leads: the user signs in, then connects; in one trip when that is the same.
 *
 * @param isSignInAccount whether the account to connect is the one the user signs in with
 */
export function planConnectLegs(
  { signIn }: Pick<Context, 'signIn'>,
  { providerId, scopes, account }: ConnectGoal,
  isSignInAccount: boolean,
): [Leg, ...Leg[]] {
  const which = account !== undefined && { account }
  if (isSignInAccount) return [{ loginId: providerId, scopes, purpose: 'sign-in', ...which }]
  return [
    { loginId: signIn.id, scopes: [], purpose: 'sign-in' },
    { loginId: providerId, scopes, purpose: 'connection', ...which },
  ]
}

/** Whether connecting this account is signing in: it is the one by which the user is known here. */
export async function isSignInAccount(
  { signIn, store, clock }: Pick<Context, 'signIn' | 'store' | 'clock'>,
  { userId, providerId, account }: ConnectGoal,
): Promise<boolean> {
  if (providerId !== signIn.id || account === anotherAccount) return false
  if (account === undefined) return true
  const now = clock()
  const connection = await store.findConnection({ userId, provider: providerId, account, now })
  if (!connection) return false
  const { accountHash } = connection
  // Records of earlier versions are of the account the user signed in with.
  if (accountHash === undefined) return true
  return (await store.findUser({ identityHash: accountHash, now })) === userId
}

/**
 * Begins a leg: makes the upstream state, which names the transaction and is good for this leg only, and asks the
 * login where the browser goes.
 *
 * @param userId when it is known already
 * @throws {LoginError} when the login cannot be reached
 */
export async function startLeg(
  context: Pick<Context, 'issuer' | 'random' | 'clock'>,
  login: Login,
  leg: Leg,
  transactionId: string,
  userId: string | undefined,
): Promise<{ url: string; awaited: NonNullable<Transaction['awaited']> }> {
  const upstreamState = `${transactionId}.${randomText(context.random)}`
  const awaited = { leg, stateHash: sha256(upstreamState), startedAt: context.clock() }
  const url = callbackUrl(context, login.id)
  if (login.kind === 'page') {
    return { url: pageUrl(context, login.id, upstreamState), awaited: { ...awaited, memory: {} } }
  }
  const started = await login.start({
    callbackUrl: url,
    upstreamState,
    scopes: leg.scopes,
    ...authenticationRequest(leg),
    ...(userId !== undefined && { userId }),
    ...(leg.account !== undefined && { account: leg.account }),
  })
  return { url: started.url, awaited: { ...awaited, memory: { ...started.memory } } }
}

/** Address of a login's own page, with the upstream state it belongs to. */
export function pageUrl(context: Pick<Context, 'issuer'>, loginId: string, upstreamState: string): string {
  return `${callbackUrl(context, loginId)}?state=${upstreamState}`
}

const statePattern = /^([\w-]{24})\.[\w-]{24}$/

/** Transaction an upstream state names; undefined when it cannot be one of ours. */
export function transactionIdOf(upstreamState: string | undefined): string | undefined {
  return statePattern.exec(upstreamState ?? '')?.[1]
}
