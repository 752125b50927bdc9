import { ConfigurationError } from '@sallyport/oauth'
import { type ExternalIssuer, externalIssuer } from './external-issuer.ts'
import type { SignIn } from './provider.ts'
import { isDevelopmentSignIn, type SignInOptions } from './sign-in.ts'

/** Options of sign-in → whether they mean something where another issuer gives out the tokens. */
const worksWithIssuer: Readonly<Record<keyof SignInOptions, boolean>> = {
  openid: false,
  dpop: false,
  dpopNonces: false,
  clients: false,
  enterpriseIssuers: false,
  resourceServers: false,
  scopes: false,
  sensitiveScopes: false,
  scopeLifetimes: false,
  scopeHierarchy: true,
  connectAtSignIn: false,
  cleanupIntervalSeconds: true,
  dynamicRegistration: false,
  clientIdMetadataDocuments: false,
  redirectUriSchemes: false,
  signingKeyRotation: false,
  signers: false,
  backgroundWork: true,
  revokesUpstream: true,
}

/**
 * Checks what stands beside the option `issuer`.
 *
 * @throws {ConfigurationError} when an option would have no effect, or could never work
 */
export function checkIssuerOptions(
  option: string | ExternalIssuer,
  beside: { settings: SignInOptions; signIn: SignIn | undefined; publicUrl: string },
): void {
  if (externalIssuer(option).issuer === beside.publicUrl) {
    throw new ConfigurationError(
      'The option issuer is the address of this server itself: leave it out, and give createServer signIn.',
    )
  }
  const idle = Object.entries(worksWithIssuer).find(
    ([name, works]) => !works && beside.settings[name as keyof SignInOptions] !== undefined,
  )
  if (idle) {
    throw new ConfigurationError(
      `The option ${idle[0]} has no effect on a server with issuer, which issues no tokens: remove one of them.`,
    )
  }
  if (isDevelopmentSignIn(beside.signIn)) {
    throw new ConfigurationError(
      'The development sign-in knows none of the users of the issuer: sign them in with a provider that does, such as oidc() with the same issuer.',
    )
  }
}
