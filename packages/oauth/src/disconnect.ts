import type { Context } from './context.ts'
import { revocationTask } from './keys/revocation-task.ts'
import { connectionSealContext } from './keys/seal-context.ts'
import type { ConnectionKey } from './storage/store.ts'

/**
 * Ends a connection for whoever asked for it; its tokens are then revoked at the provider, as soon as that answers
 * (R142). They are put aside first: dying in between leaves a connection that works, not tokens that nobody knows of.
 *
 * @returns whether there was one
 * @throws {StoreUnavailableError} then it may be there still, and doing it again is safe
 */
export async function disconnect(
  context: Pick<Context, 'store' | 'sealer' | 'clock' | 'random' | 'emit' | 'revokesUpstream'>,
  key: ConnectionKey,
  by: 'user' | 'administrator',
): Promise<boolean> {
  const { store, sealer, clock, emit } = context
  const { userId, provider, account } = key
  const connection = await store.findConnection({ ...key, now: clock() })
  if (!connection) return false
  if (context.revokesUpstream && connection.state === 'active') {
    const opened = sealer.open(connection.sealed, connectionSealContext(store.tenant, connection))
    const { accessEndsAt } = connection
    if (opened) {
      const parts = { ...context, tenant: store.tenant }
      const record = revocationTask(parts, { ...key, accessEndsAt, plaintext: opened.plaintext })
      await store.putTask({ record, replaces: false, now: clock() })
    }
  }
  await store.deleteConnection({ ...key, now: clock() })
  emit({ type: 'connection_ended', userId, provider, account, by })
  return true
}
