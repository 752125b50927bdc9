import { randomBytes } from 'node:crypto'
import Provider, { errors, interactionPolicy } from 'oidc-provider'
import { accounts } from './accounts.ts'
import type { Consents } from './consents.ts'
import type { ControlState } from './control.ts'
import { kinds, microsoftTenant, offlineScope } from './kinds.ts'
import type { MemoryStorage } from './memory-adapter.ts'
import { guidOf } from './quirks.ts'
import { getSigningKey } from './signing-key.ts'
import type { UpstreamOptions } from './upstream.ts'

/** panva's `oidc-provider`, set up as the provider it stands in for. */
export async function createOidcProvider(
  issuer: string,
  options: UpstreamOptions,
  { storage, state, consents }: { storage: MemoryStorage; state: ControlState; consents: Consents },
): Promise<Provider> {
  const { kind, clientId, clientSecret, resources } = options
  const facts = kinds[kind]
  const { paths } = facts
  const refreshTokens = options.refreshTokens ?? facts.refreshTokens

  const policy = interactionPolicy.base()
  policy.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0)
  // The user is asked each time: the upstream keeps no session of its own.
  policy.get('login')?.checks.add(
    new interactionPolicy.Check('always', 'the user is asked each time', ctx => {
      return ctx.oidc.result?.login === undefined
    }),
  )

  const provider = new Provider(issuer, {
    adapter: storage.adapter,
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: [...options.redirectUris],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: facts.clientAuthentication[0] ?? 'client_secret_post',
      },
    ],
    clientAuthMethods: [...facts.clientAuthentication, ...(resources ? (['none'] as const) : [])],
    clockTolerance: 0,
    conformIdTokenClaims: false,
    cookies: { keys: [randomBytes(32).toString('hex')] },
    jwks: { keys: [await getSigningKey()] },
    scopes: ['openid', ...facts.scopes],
    claims: {
      openid: ['sub', ...(kind === 'microsoft' ? ['oid', 'tid'] : [])],
      profile: ['name'],
      email: ['email', 'email_verified'],
    },
    extraParams: ['access_type', 'include_granted_scopes'],
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      revocation: { enabled: true },
      ...(resources && {
        registration: { enabled: true },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => [],
          useGrantedResource: () => true,
          getResourceServerInfo(_, resource) {
            const scopes = resources[resource]
            if (!scopes) throw new errors.InvalidTarget()
            return {
              scope: scopes.join(' '),
              audience: resource,
              accessTokenFormat: 'jwt',
              jwt: { sign: { alg: 'RS256' } },
            }
          },
        },
      }),
    },
    interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
    routes: {
      authorization: paths.authorize,
      token: paths.token,
      userinfo: paths.userinfo,
      jwks: paths.jwks,
      revocation: paths.revoke,
    },
    pkce: { required: () => false },
    findAccount: (_, sub) => {
      const account = accounts.find(known => known.sub === sub)
      if (account === undefined) return undefined
      // LinkedIn writes the boolean as a string.
      const verified = kind === 'linkedin' ? 'true' : true
      const claims = { ...account, email_verified: verified, oid: guidOf(sub, 'e'), tid: microsoftTenant }
      return { accountId: sub, claims: () => claims }
    },
    rotateRefreshToken: options.rotateRefreshTokens ?? facts.rotates,
    expiresWithSession: () => false,
    issueRefreshToken: (_, _client, code) => {
      if (kind !== 'google')
        return (
          refreshTokens === 'always' ||
          (refreshTokens === 'offline_access' &&
            (code.scopes.has('offline_access') || code.scopes.has(offlineScope)))
        )
      const consent = consents.find(code.grantId)
      if (consent?.parameters.access_type !== 'offline') return false
      const forced = String(consent.parameters.prompt ?? '')
        .split(' ')
        .includes('consent')
      return forced || consents.isFirst(consent.grantId)
    },
    ttl: {
      AccessToken: () => state.accessTokenSeconds() ?? facts.accessTokenSeconds,
      AuthorizationCode: 60,
      Grant: 365 * 86_400,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: facts.refreshTokenSeconds,
      Session: 3600,
    },
  })

  /** Google's cap: the oldest refresh token of an account dies, and nobody is told. */
  function dropOldest(sub: string): void {
    const cap = options.refreshTokenCap ?? 100
    const isTheirs = (model: string, payload: { accountId?: string | undefined }) =>
      model === 'RefreshToken' && payload.accountId === sub
    let excess = storage.count(isTheirs) - cap
    storage.forget((model, payload) => isTheirs(model, payload) && excess-- > 0)
  }

  provider.on('server_error', (_, error) => console.error('test upstream:', error))
  if (kind === 'google') provider.on('refresh_token.saved', token => dropOldest(token.accountId))

  // The old access token dies with the refresh that replaces it.
  if (kind === 'github') {
    provider.on('access_token.saved', ({ grantId, jti }) =>
      storage.forget(
        (model, payload) => model === 'AccessToken' && payload.grantId === grantId && payload.jti !== jti,
      ),
    )
  }
  return provider
}
