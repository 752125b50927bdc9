/** How much of everything there is, without what has ended. */
export interface StoreStats {
  /** Token families that are not revoked. */
  grants: number
  /** Those among them that have an access token which has not ended. */
  grantsWithAccess: number
  connections: { active: number; dead: number }
  /** Sign-ins under way. */
  pendingAuthorizations: number
  signingKeys: number
}
