import type { ProviderHost } from '@sallyport/mcp-server'
import {
  type AuthenticationRequest,
  anotherAccount,
  hashIdentity,
  type LoginCallback,
  LoginError,
  type LoginProblem,
  type LoginResult,
  type LoginStart,
  type RedirectLogin,
} from '@sallyport/oauth'
import { base64url } from 'jose'
import { findAccount } from './account.ts'
import type { ClientCredentials } from './client-authentication.ts'
import type { ConnectionVault, HeldConnection } from './connection-vault.ts'
import { createDpopKey, type DpopKey, type DpopNonces, hashCode } from './dpop-proof.ts'
import {
  accessEndsAt,
  type ExternalGrant,
  isAlive,
  keptRefreshToken,
  refreshTokenOf,
  usableRefreshToken,
} from './external-token.ts'
import { createIdTokenVerifier, type Identity } from './id-token.ts'
import { isIssuerOf } from './issuer.ts'
import { callbackProblem, problemOf } from './login-problem.ts'
import type { AuthorizationSituation, ProviderDefinition } from './provider-definition.ts'
import { coversScopes, normaliseScopes, parseScope } from './scope.ts'
import { requestToken, type TokenGrant } from './token-request.ts'
import { UpstreamError } from './upstream-error.ts'
import type { UpstreamServer } from './upstream-server.ts'

export interface LoginParts {
  definition: ProviderDefinition
  credentials: ClientCredentials
  host: Pick<ProviderHost, 'clock' | 'random' | 'emit'>
  vault: ConnectionVault
  upstreamServer(): Promise<UpstreamServer>
  /** Of proofs for code exchanges. Default: none that is known. */
  nonces?: DpopNonces
  /** Takes tokens that no connection keeps, to be revoked. Default: they are dropped. */
  discard?(userId: string, grant: ExternalGrant, accessEndsAt: number): Promise<void>
  /** Told when a connection was made. */
  onMade?(userId: string): Promise<void>
}

/** What one trip upstream brought, before we know whose it is. */
interface Trip {
  identity: Identity
  grant: TokenGrant
  /** The key that was proven to get the tokens. */
  dpopKey: DpopKey | undefined
  receivedAt: number
  scopes: string[]
  /** Whether this trip could not have brought a refresh token that it did not bring. */
  refreshTokenIsFinal: boolean
}

/** How many accounts of one provider a user may connect; two that connect at once may end one above. */
const maxAccounts = 10

/** How often a write is tried again because a refresh wrote in between. */
const maxRounds = 5

/**
 * The login port over a provider: authorization code flow with PKCE and nonce where the provider takes them
 * (R75). `start` and `finish` throw `LoginError`.
 *
 * Consent is forced only when we know the user and hold no refresh token for what is asked, so that ordinary
 * sign-ins do not use up the provider's few refresh tokens. A first consent brings one by itself; when it is
 * missing because our store lost it, the connection counts as not connected, and the next trip, which knows the
 * user, forces consent once.
 */
export function createLogin(parts: LoginParts): RedirectLogin {
  const { definition, credentials, host, vault } = parts
  const { clock, random, emit } = host
  const rules = definition.scopeRules
  const verifyIdToken = createIdTokenVerifier(clock)
  const randomText = () => base64url.encode(random(32))
  const nonces: DpopNonces = parts.nonces ?? new Map()

  async function situationOf(
    server: UpstreamServer,
    { userId, account, scopes: asked }: Pick<LoginStart, 'userId' | 'account' | 'scopes'>,
  ) {
    const isKnown = userId !== undefined && account !== anotherAccount
    const held = isKnown ? await vault.find(userId, account) : undefined
    const active = held?.state === 'active' ? held : undefined
    const situation: AuthorizationSituation = {
      wantsRefreshToken: server.givesRefreshTokens && (asked.length > 0 || userId !== undefined),
      hasLiveGrant:
        userId === undefined
          ? undefined
          : active !== undefined &&
            usableRefreshToken(active.grant, clock()) !== undefined &&
            coversScopes(active.connection.scopes, asked, rules),
    }
    const heldScopes = active?.connection.scopes ?? []
    return {
      situation,
      // Not wider than before (R185): without them the new token would lose what the user granted earlier.
      alsoAsked: definition.mergesGrantedScopes ? [] : heldScopes,
      // A provider that adds earlier grants by itself is asked for what is missing, and for nothing twice.
      needless: definition.mergesGrantedScopes ? heldScopes : [],
      isOneOfSeveral:
        account === anotherAccount ||
        (isKnown && account !== undefined && (await vault.list(userId)).length > 1),
    }
  }

  /** R75, R77: the callback's parameters → the authorization code, or a refusal without the provider's words. */
  function readCode(parameters: URLSearchParams, server: UpstreamServer): string {
    // RFC 6749 §3.1: a parameter sent twice has no meaning.
    for (const name of ['code', 'error', 'iss']) {
      if (parameters.getAll(name).length > 1) throw new LoginError('failed', { problem: 'answer_unusable' })
    }
    // RFC 9207 §2.4: before anything else, errors included, or another provider's answer would be taken for this one's.
    const issuer = parameters.get('iss')
    if (issuer === null ? server.sendsIssuer : !isIssuerOf(server, issuer)) {
      throw new LoginError('failed', { problem: 'answer_unusable' })
    }
    const error = parameters.get('error')
    if (error !== null) {
      if (definition.deniedErrors.includes(error)) throw new LoginError('denied')
      const isPassing = error === 'temporarily_unavailable' || error === 'server_error'
      throw new LoginError(isPassing ? 'unavailable' : 'failed', { problem: callbackProblem(error) })
    }
    const code = parameters.get('code')
    if (!code) throw new LoginError('failed', { problem: 'answer_unusable' })
    return code
  }

  async function exchange(code: string, { callbackUrl, memory }: LoginCallback, server: UpstreamServer) {
    // A key of its own for each connection: who learns one of them has one.
    const dpopKey = definition.dpop ? await createDpopKey() : undefined
    const jti = dpopKey && (await hashCode(code))
    const reply = await requestToken({
      endpoint: server.tokenEndpoint,
      clientAuthentication: server.clientAuthentication,
      credentials,
      parameters: {
        grant_type: 'authorization_code',
        code,
        redirect_uri: callbackUrl,
        ...(memory.verifier !== undefined && { code_verifier: memory.verifier }),
      },
      errorClass: definition.errorClass,
      format: definition.tokenFormat,
      clock,
      ...(dpopKey && jti && { proof: { key: dpopKey, jti: () => jti, nonces } }),
    })
    if (reply.outcome === 'refused') throw reply.error
    return { ...reply, dpopKey }
  }

  async function identify(
    { grant, reply = {} }: Awaited<ReturnType<typeof exchange>>,
    server: UpstreamServer,
    nonce: string | undefined,
  ): Promise<Identity> {
    if (definition.account) {
      const { accessToken } = grant
      return findAccount(definition.account, {
        issuer: server.issuers[0],
        accessToken,
        reply,
        now: clock(),
      })
    }
    if (grant.idToken === undefined) throw new LoginError('failed', { problem: 'answer_unusable' })
    return verifyIdToken(grant.idToken, { server, clientId: credentials.clientId, nonce })
  }

  async function storeTrip(userId: string, trip: Trip): Promise<'incomplete' | undefined> {
    for (let round = 1; round <= maxRounds; round++) {
      const accounts = await vault.list(userId)
      // One that ended in an earlier version does not say whose it was: the next account takes its place.
      const same = accounts.find(isOf(trip.identity))
      const known = same ?? (definition.hasOneAccount ? accounts[0] : accounts.find(isNobodys))
      if (!known && accounts.length >= maxAccounts) throw new LoginError('too_many_accounts')
      const before = same?.state === 'active' ? same : undefined
      if (before && keepsMore(before, trip)) return undefined
      const isMerged = definition.mergesGrantedScopes && trip.grant.scope === undefined
      const kept = trip.grant.refreshToken === undefined && before?.grant.refreshToken !== undefined
      const update = {
        grant: toExternalGrant(trip, before?.grant, labelOf(trip.identity, known)),
        scopes: isMerged
          ? normaliseScopes([...trip.scopes, ...(before?.connection.scopes ?? [])], rules)
          : trip.scopes,
        accessEndsAt: accessEnd(trip),
      }
      // Keeping the old refresh token rests on what was read; a refresh may just have rotated it.
      if (kept && (await vault.replace(before.connection, update)) === 'stale') continue
      const account = kept ? before.connection.account : await vault.put(userId, update, known?.connection)
      emit({ type: 'connection_made', userId, provider: definition.id, account })
      await parts.onMade?.(userId)
      return update.grant.refreshTokenMissed ? 'incomplete' : undefined
    }
    throw new LoginError('unavailable')
  }

  const accessEnd = ({ grant, receivedAt }: Trip) =>
    accessEndsAt(grant.expiresInSeconds, definition.accessTokenSeconds, receivedAt)

  /** Whether the stored connection still works and can do more: a sign-in that asked for less must not narrow it. */
  function keepsMore(before: HeldConnection & { state: 'active' }, trip: Trip): boolean {
    if (trip.grant.refreshToken !== undefined) return false
    const { accessEndsAt, scopes } = before.connection
    const works =
      usableRefreshToken(before.grant, clock()) !== undefined ||
      isAlive({ endsAt: accessEndsAt, now: clock() })
    return works && coversScopes(scopes, trip.scopes, rules) && !coversScopes(trip.scopes, scopes, rules)
  }

  return {
    kind: 'redirect',
    id: definition.id,
    label: definition.label,
    identityScopes: definition.identityScopes,
    prompts: definition.prompts,
    ...(definition.hasOneAccount && { hasOneAccount: true }),

    async start({ callbackUrl, upstreamState, scopes, userId, account, ...wanted }) {
      const server = await parts.upstreamServer().catch(toServerError)
      const whose = {
        scopes,
        ...(userId !== undefined && { userId }),
        ...(account !== undefined && { account }),
      }
      const { situation, alsoAsked, needless, isOneOfSeveral } = await situationOf(server, whose)
      const asked = normaliseScopes(
        [
          ...definition.identityScopes,
          ...(isOneOfSeveral ? (definition.labelScopes ?? []) : []),
          ...scopes.filter(scope => needless.length === 0 || !coversScopes(needless, [scope], rules)),
          ...alsoAsked,
          ...(situation.wantsRefreshToken && server.offlineScope ? [server.offlineScope] : []),
        ],
        rules,
      )
      const own = definition.authorizationParameters(situation)
      const choose = isOneOfSeveral && definition.prompts.includes('select_account')
      const prompts = [
        ...new Set([...(wanted.prompts ?? []), ...(choose ? (['select_account'] as const) : [])]),
      ]
      const extra = { ...own, ...authenticationParameters({ ...wanted, prompts }, own.prompt) }
      const verifier = definition.pkce ? randomText() : undefined
      const nonce = definition.nonce ? randomText() : undefined
      const url = new URL(server.authorizationEndpoint)
      const parameters = {
        ...extra,
        response_type: 'code',
        client_id: credentials.clientId,
        redirect_uri: callbackUrl,
        ...(definition.scopeParameter !== undefined &&
          asked.length > 0 && { [definition.scopeParameter]: asked.join(definition.scopeSeparator) }),
        state: upstreamState,
        ...(nonce !== undefined && { nonce }),
        ...(verifier !== undefined && {
          code_challenge: await challengeOf(verifier),
          code_challenge_method: 'S256',
        }),
      }
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
      const memory = {
        scopes: asked.join(' '),
        ...(verifier !== undefined && { verifier }),
        ...(nonce !== undefined && { nonce }),
        ...((own.prompt === 'consent' || (situation.wantsRefreshToken && server.offlineNeedsNoConsent)) && {
          refreshTokenIsFinal: 'yes',
        }),
      }
      return { url: url.href, memory }
    },

    async finish(callback): Promise<LoginResult> {
      const { memory } = callback
      const server = await parts.upstreamServer().catch(toServerError)
      const code = readCode(callback.parameters, server)
      const granted = await exchange(code, callback, server).catch(toLoginError)
      const { grant } = granted
      const receivedAt = clock()
      const identity = await identify(granted, server, memory.nonce).catch(toLoginError)
      const trip: Trip = {
        identity,
        grant,
        dpopKey: granted.dpopKey,
        receivedAt,
        // RFC 6749 §5.1: no `scope` in the reply means that all was granted.
        scopes:
          grant.scope === undefined
            ? normaliseScopes((memory.scopes ?? '').split(' '), rules)
            : parseScope(grant.scope, rules),
        refreshTokenIsFinal: memory.refreshTokenIsFinal !== undefined || !server.givesRefreshTokens,
      }
      const { email: _, ...known } = identity
      return {
        ...known,
        onUser: userId => storeTrip(userId, trip),
        onUnkept: async userId => {
          await parts.discard?.(userId, toExternalGrant(trip, undefined, undefined), accessEnd(trip))
        },
      }
    },
  }
}

/** OpenID Connect Core §3.1.2.1. Whoever calls has looked at what the provider honours. */
function authenticationParameters(
  { maxAgeSeconds, prompts = [], acrValues }: AuthenticationRequest,
  ownPrompt: string | undefined,
): Record<string, string> {
  return {
    ...(prompts.length > 0 && { prompt: [...prompts, ...(ownPrompt ? [ownPrompt] : [])].join(' ') }),
    ...(maxAgeSeconds !== undefined && { max_age: `${maxAgeSeconds}` }),
    ...(acrValues !== undefined && { acr_values: acrValues }),
  }
}

/** Whether a connection is to this account. */
function isOf({ issuer, subject }: Identity): (held: HeldConnection) => boolean {
  return held =>
    held.state === 'active'
      ? held.grant.issuer === issuer && held.grant.subject === subject
      : held.connection.accountHash === hashIdentity([issuer, subject])
}

function isNobodys({ state, connection }: HeldConnection): boolean {
  return state === 'dead' && connection.accountHash === undefined
}

/** What its owner knows an account by. An address tells more accounts apart than a name. */
function labelOf({ name, email }: Identity, before: HeldConnection | undefined): string | undefined {
  const known = before?.state === 'active' ? before.grant.label : before?.label
  return email ?? (known?.includes('@') ? known : name)
}

/** `before`: what is stored for the same account at the provider; never another account's tokens (R181). */
function toExternalGrant(
  trip: Trip,
  before: ExternalGrant | undefined,
  label: string | undefined,
): ExternalGrant {
  const { grant, dpopKey, receivedAt, identity } = trip
  const refresh = refreshTokenOf(grant, receivedAt, dpopKey) ?? (before && keptRefreshToken(before))
  // A provider that withheld it although consent was forced is not asked again at each sign-in.
  const isKnownToWithhold = before !== undefined && !before.refreshToken && !before.refreshTokenMissed
  const missed = !refresh?.refreshToken && !trip.refreshTokenIsFinal && !isKnownToWithhold
  return {
    accessToken: grant.accessToken,
    receivedAt,
    ...refresh,
    ...(missed && { refreshTokenMissed: true }),
    issuer: identity.issuer,
    subject: identity.subject,
    ...(label !== undefined && { label }),
  }
}

async function challengeOf(verifier: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))
  return base64url.encode(new Uint8Array(digest))
}

function toServerError(error: unknown): never {
  const isMisconfigured = error instanceof UpstreamError && error.errorClass === 'misconfigured'
  return isMisconfigured ? toLoginError(error, 'discovery_unusable') : toLoginError(error)
}

/** Many reasons, few answers: what may pass is `unavailable`, everything else is `failed`. */
function toLoginError(error: unknown, problem: LoginProblem | undefined = problemOf(error)): never {
  if (error instanceof LoginError) throw error
  const isPassing =
    error instanceof UpstreamError &&
    (error.errorClass === 'transient' || error.errorClass === 'rate_limited')
  throw new LoginError(isPassing ? 'unavailable' : 'failed', { cause: error, problem })
}
