/** What the test tells the server's process. */
export interface SallyportMessage {
  /** Moves the server's clock ahead. */
  advanceSeconds: number
}

/** Where the server finds the test upstream, in `E2E_UPSTREAM` as JSON. */
export interface UpstreamSettings {
  kind: 'oidc' | 'google' | 'linkedin'
  issuer: string
  apiOrigin: string
  clientId: string
  clientSecret: string
  /** Used by `google()` and `linkedin()`; `oidc()` finds its own. */
  endpoints: {
    authorization: string
    token: string
    jwks: string
    revocation: string
    securityEvents: string
    issuers: [string]
  }
  /** Google pushes what happens to accounts. */
  securityEvents: boolean
  /** Users sign in at the upstream, or on the development page with the upstream as a connection. */
  signIn: 'upstream' | 'development'
  challengeOnConnect?: boolean
  /** DPoP proofs need a nonce of the server. */
  dpopNonces?: boolean
}

/** The profile in the test upstream's API. */
export const profileUrl = (apiOrigin: string): string => `${apiOrigin}/api/profile`
