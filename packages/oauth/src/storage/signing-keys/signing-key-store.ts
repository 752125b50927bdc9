import type { SigningKey } from '../records.ts'

export interface SigningKeyStore {
  /** Every key that has not retired, oldest first. */
  listSigningKeys(step: { now: number }): Promise<SigningKey[]>
  /**
   * Adds a key, unless `newestKid` is no longer the `kid` of the newest stored key (undefined: no key at all):
   * then another process was first and the caller lists again.
   */
  putSigningKey(step: {
    record: SigningKey
    newestKid: string | undefined
    now: number
  }): Promise<'stored' | 'stale'>
  /**
   * Sets when a key leaves the JWKS and counts as absent. An end that was set before can be brought forward, not put
   * off: `already` when the key ends by then anyway, `unknown` when there is no such key.
   */
  retireSigningKey(step: {
    kid: string
    retiresAt: number
    now: number
  }): Promise<'retired' | 'already' | 'unknown'>
  /**
   * Replaces the sealed part of a key and nothing else, unless it is no longer `expectedSealed`. Sent again, it is
   * `resealed` again; `stale` also when there is no such key.
   */
  resealSigningKey(step: {
    kid: string
    sealed: string
    expectedSealed: string
    now: number
  }): Promise<'resealed' | 'stale'>
}
