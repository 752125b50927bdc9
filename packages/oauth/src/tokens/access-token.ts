interface AnyAccessToken {
  clientId: string
  /** `sub`, as the issuer names who the token speaks for. */
  subject: string
  scopes: readonly string[]
  /** The audience: the one resource it was issued for. */
  resource: string
  issuer: string
  /** Id of the token family (`sid`). */
  grantId: string
  jti: string
  /** `exp`, seconds since the epoch. */
  expiresAt: number
  authTime: number | undefined
}

/** A token with which a client acts for a user. */
export interface UserAccessToken extends AnyAccessToken {
  principal: 'user'
  userId: string
}

/** A token with which a client acts for itself (`client_credentials`): there is no user (R115). */
export interface ClientAccessToken extends AnyAccessToken {
  principal: 'client'
  userId: undefined
}

/** A verified access token: who calls, through which client, allowed to do what, until when. */
export type AccessToken = UserAccessToken | ClientAccessToken

export interface AccessTokenVerifier {
  /**
   * Verifies signature, type, issuer, audience, times and revocation. No I/O once the keys are known.
   *
   * @param jkt thumbprint of the key that whoever presents the token has proven to hold. A token that is bound to a
   *   key is good with that key alone, and one that is not is good without (RFC 9449 §7.1, §7.2)
   * @throws {OAuthError} `invalid_token` (RFC 6750 §3.1)
   * @throws {StoreUnavailableError} when revocations have not been heard of for too long
   */
  verifyAccessToken(value: string, resource: string, jkt?: string): Promise<AccessToken>
  /** Stops following the revocation feed. */
  close(): void
}
