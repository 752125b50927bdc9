import type { Provider } from '@sallyport/mcp-server'
import { ConfigurationError } from '@sallyport/oauth'
import { createProvider } from './create-provider.ts'
import { errorClassBy } from './error-class.ts'
import { tenantPlaceholder } from './issuer.ts'
import type { ProviderEndpoints } from './provider-definition.ts'
import type { TokenRefusal } from './token-request.ts'
import type { ErrorClass } from './upstream-error.ts'
import { vendorServer } from './vendor-server.ts'

export interface MicrosoftOptions {
  /** Default: `MICROSOFT_CLIENT_ID`. */
  clientId?: string
  /** Default: `MICROSOFT_CLIENT_SECRET`. */
  clientSecret?: string
  /**
   * Whose accounts may come: a tenant id, `organizations` (work and school), `consumers` (personal) or `common` (all).
   * Default: `MICROSOFT_TENANT_ID`, else `common`.
   */
  tenant?: string
  /** Addresses used in place of the global cloud's. `{tenant}` in one is filled in. Default: none. */
  endpoints?: Partial<ProviderEndpoints>
}

const authority = 'https://login.microsoftonline.com'

const microsoftEndpoints: Omit<ProviderEndpoints, 'userinfo' | 'revocation'> = {
  authorization: `${authority}/{tenant}/oauth2/v2.0/authorize`,
  token: `${authority}/{tenant}/oauth2/v2.0/token`,
  jwks: `${authority}/{tenant}/discovery/v2.0/keys`,
  issuers: [`${authority}/${tenantPlaceholder}/v2.0`],
  apiOrigins: ['https://graph.microsoft.com'],
}

/** The tenant that all personal accounts are in. */
const personalTenant = '9188040d-6c67-4c5b-b112-36a304b66dad'

const tenantChecks: Readonly<Record<string, (tenantId: string) => boolean>> = {
  common: () => true,
  organizations: tenantId => tenantId !== personalTenant,
  consumers: tenantId => tenantId === personalTenant,
}

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/**
 * Microsoft accounts (Entra ID, v2.0) and Microsoft Graph. Credentials come from the options, else from the
 * environment.
 */
export function microsoft(options: MicrosoftOptions = {}): Provider<'microsoft'> {
  const endpoints = { ...microsoftEndpoints, ...options.endpoints }
  return createProvider({
    id: 'microsoft',
    label: 'Microsoft',
    clientId: options.clientId,
    clientSecret: options.clientSecret,
    credentialVariables: { clientId: 'MICROSOFT_CLIENT_ID', clientSecret: 'MICROSOFT_CLIENT_SECRET' },
    credentialHint: 'register an application at https://entra.microsoft.com (App registrations) and set both',
    credentialMistake: ({ clientSecret }) =>
      guid.test(clientSecret) ? 'the client secret is the id of a secret, set its value' : undefined,
    canSignIn: true,
    // Without `profile` the id_token has no oid.
    identityScopes: ['openid', 'profile'],
    scopeParameter: 'scope',
    scopeSeparator: ' ',
    // Scopes of Graph may be written short; replies hold either form.
    scopeRules: {
      replySeparator: /\s+/,
      aliases: {},
      prefix: 'https://graph.microsoft.com/',
      ignoresCase: true,
    },
    pkce: true,
    nonce: true,
    mergesGrantedScopes: false,
    // Its id_token says when the user authenticated only where an administrator had that added.
    prompts: ['select_account'],
    // Never prompt=consent: where only administrators may consent, it turns away users whose administrator has.
    authorizationParameters: () => ({}),
    // The two others: an administrator must consent first.
    deniedErrors: ['access_denied', 'consent_required', 'interaction_required'],
    errorClass,
    tokenFormat: {},
    // The old one goes on, but the new one lasts longer.
    rotatesRefreshTokens: false,
    accessTokenSeconds: 3600,
    refreshIdleSeconds: 90 * 86_400,
    apiOrigins: endpoints.apiOrigins,
    upstreamServer(_, environment) {
      const tenant = (options.tenant || environment.MICROSOFT_TENANT_ID || 'common').trim().toLowerCase()
      const isWord = Object.hasOwn(tenantChecks, tenant)
      if (!isWord && !guid.test(tenant)) {
        throw new ConfigurationError(
          'MICROSOFT_TENANT_ID must be common, organizations, consumers or the id of a tenant such as 8eaef023-2b34-4da1-9baa-8bc8c9d6a490.',
        )
      }
      const at = (address: string) => address.replace('{tenant}', tenant)
      const { authorization, token, jwks, issuers } = endpoints
      const ofTenant = { authorization: at(authorization), token: at(token), jwks: at(jwks), issuers }
      return vendorServer('Microsoft', ofTenant, {
        jwksUri: ofTenant.jwks,
        tenants: isWord ? tenantChecks[tenant]! : tenantId => tenantId.toLowerCase() === tenant,
        clientAuthentication: 'post',
        givesRefreshTokens: true,
        offlineScope: 'offline_access',
        offlineNeedsNoConsent: true,
      })
    },
  })
}

const byCode = errorClassBy({ invalid_resource: 'misconfigured' })

/** Values of `suberror` under `invalid_grant` that the user can mend on Microsoft's pages. */
const userMustAct = [
  'basic_action',
  'additional_action',
  'message_only',
  'consent_required',
  'user_password_expired',
]

/** AADSTS numbers of the same: no consent by user or administrator, a second factor, a device or a place. */
const userMustActCodes = [50074, 50076, 50079, 50158, 53000, 53001, 53003, 65001, 65004, 90094, 90095, 530032]

function errorClass(refusal: TokenRefusal): ErrorClass {
  const isForUser =
    userMustAct.includes(refusal.errorSubtype ?? '') ||
    refusal.errorCodes.some(code => userMustActCodes.includes(code))
  return refusal.error === 'invalid_grant' && isForUser ? 'consent' : byCode(refusal)
}
