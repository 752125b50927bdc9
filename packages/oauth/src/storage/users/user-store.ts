export interface UserStore {
  /**
   * The user id of an upstream identity. The first caller's `userId` wins and stays; `expiresAt` renews.
   * The identity is a hash of (issuer, subject), never an e-mail address.
   */
  findOrPutUser(step: {
    identityHash: string
    userId: string
    expiresAt: number
    now: number
  }): Promise<string>
  /** The user id of an upstream identity that has signed in before. Renews nothing. */
  findUser(step: { identityHash: string; now: number }): Promise<string | undefined>
  /** Marks a user as disabled. */
  putDisabledUser(step: { userId: string; expiresAt: number; now: number }): Promise<void>
  /** Takes the mark away. */
  deleteDisabledUser(step: { userId: string; now: number }): Promise<void>
  isUserDisabled(step: { userId: string; now: number }): Promise<boolean>
}
