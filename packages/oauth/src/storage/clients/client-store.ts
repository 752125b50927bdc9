export interface ClientStore {
  /** Marks a client as deleted. Registrations are stateless, so a tombstone is all there is to store. */
  putClientTombstone(step: { clientIdHash: string; expiresAt: number; now: number }): Promise<void>
  isClientDeleted(step: { clientIdHash: string; now: number }): Promise<boolean>
}
