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
  /**
   * Remembers that all a user has open in browsers is over as far as it began by `at`. Without a user: everybody's. The
   * latest `at` stays.
   */
  putSignOut(step: { userId?: string; at: number; expiresAt: number; now: number }): Promise<void>
  /** Up to when what a user began in a browser is over, because of them or of everybody; undefined: nothing is. */
  findSignOut(step: { userId: string; now: number }): Promise<number | undefined>
}
