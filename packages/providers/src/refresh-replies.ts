import { type ProviderHost, ProviderUnavailableError } from '@sallyport/mcp-server'
import type { ConnectionKey } from '@sallyport/oauth'
import {
  type AccountOfUser,
  type ActiveConnection,
  type ConnectionUpdate,
  type ConnectionVault,
  type HeldConnection,
  keyOf,
} from './connection-vault.ts'
import { accessEndsAt, type ExternalGrant, keptRefreshToken, refreshTokenOf } from './external-token.ts'
import type { ProviderDefinition } from './provider-definition.ts'
import type { RefreshLease } from './refresh-lease.ts'
import { coversScopes, parseScope } from './scope.ts'
import type { TokenGrant } from './token-request.ts'

/** How often a step is tried again because another process wrote in between. */
export const maxRounds = 5

/** How many replies may wait for the store to come back. */
const maxUnwritten = 1000

/** A reply, and which refresh token it answers. */
export interface RefreshReply {
  refreshToken: string
  grant: TokenGrant
  receivedAt: number
}

/** A reply whose write failed: the connection it is for, and the lease that keeps others from its refresh token. */
interface UnwrittenReply extends RefreshReply {
  held: ActiveConnection
  lease: RefreshLease
}

export interface ReplyParts {
  definition: Pick<ProviderDefinition, 'id' | 'scopeRules' | 'accessTokenSeconds'>
  vault: ConnectionVault
  /** Takes tokens that came for a connection which was deleted meanwhile. */
  discard?(key: ConnectionKey, grant: ExternalGrant, accessEndsAt: number): Promise<void>
  host: Pick<ProviderHost, 'emit'>
}

/** Where the replies to refreshes of one provider go. */
export interface RefreshReplies {
  /**
   * R181: stores new tokens, before anybody gets them; returns what the connection is then.
   *
   * @throws {ProviderUnavailableError} when others write again and again: the reply waits for the store, as with any error
   */
  store(held: ActiveConnection, reply: RefreshReply, lease: RefreshLease): Promise<HeldConnection | undefined>
  /** Finds a place for the reply that waits for a connection. `held`: what that is now. False: there is none. */
  settle(of: AccountOfUser, held: HeldConnection | undefined): Promise<boolean>
  /** The same for all that wait. */
  settleAll(signal?: AbortSignal): Promise<void>
}

/** Creates what stores the replies of one provider's token endpoint, and keeps those that cannot be stored yet. */
export function createRefreshReplies(parts: ReplyParts): RefreshReplies {
  const { definition, vault } = parts
  const { emit } = parts.host
  const provider = definition.id
  const unwritten = new Map<string, UnwrittenReply>()

  const store: RefreshReplies['store'] = async (held, reply, lease) => {
    const { userId, account } = held.connection
    let before = held
    // Whoever comes next finds it here: the provider may have retired the old refresh token.
    const keep = () => {
      if (unwritten.size < maxUnwritten) unwritten.set(keyOf(held.connection), { ...reply, held, lease })
    }
    for (let round = 1; ; round++) {
      let outcome: 'replaced' | 'stale'
      try {
        if (round > maxRounds) throw new ProviderUnavailableError(provider)
        outcome = await vault.replace(before.connection, toUpdate(before, reply))
      } catch (error) {
        keep()
        throw error
      }
      if (outcome === 'replaced') {
        const generation = before.connection.generation + 1
        emit({ type: 'connection_refreshed', userId, provider, account, generation })
      }
      const stored = await vault.find(userId, account)
      if (outcome === 'stale' && !stored) {
        await discard(before, reply).catch(error => {
          keep()
          throw error
        })
      }
      if (outcome === 'replaced' || stored?.state !== 'active') return stored
      // Another refresh token: the user connected again meanwhile, and that link wins (R180). The same one: only
      // what is known of the connection changed, and a rotated refresh token must not be lost over that.
      if (stored.grant.refreshToken !== reply.refreshToken) return stored
      before = stored
    }
  }

  /** Of a connection that the user disconnected meanwhile: these tokens must not live on at the provider. */
  async function discard(held: ActiveConnection, reply: RefreshReply): Promise<void> {
    const { grant, accessEndsAt } = toUpdate(held, reply)
    await parts.discard?.(held.connection, grant, accessEndsAt)
  }

  const settle: RefreshReplies['settle'] = async (of, held) => {
    const key = keyOf(of)
    const reply = unwritten.get(key)
    if (!reply) return false
    unwritten.delete(key)
    try {
      if (!held) await discard(reply.held, reply)
      // Of another refresh token: the user connected again meanwhile, and that link wins (R180).
      else if (held.state === 'active' && held.grant.refreshToken === reply.refreshToken) {
        await store(held, reply, reply.lease)
      }
    } catch (error) {
      unwritten.set(key, reply)
      throw error
    }
    await reply.lease.release()
    return true
  }

  const settleAll: RefreshReplies['settleAll'] = async signal => {
    for (const { held } of [...unwritten.values()]) {
      if (signal?.aborted) return
      const { userId, account } = held.connection
      await settle(held.connection, await vault.find(userId, account))
    }
  }

  function toUpdate({ connection, grant }: ActiveConnection, reply: RefreshReply): ConnectionUpdate {
    const { grant: granted, receivedAt } = reply
    const { accessToken, scope } = granted
    const { scopeRules, accessTokenSeconds } = definition
    // RFC 6749 §6: no new refresh token means that the old one goes on, up to the end it had.
    const refresh = refreshTokenOf(granted, receivedAt, grant.dpopKey) ?? keptRefreshToken(grant)
    const scopes = scope === undefined ? connection.scopes : parseScope(scope, scopeRules)
    const missing = connection.missingScopes?.filter(each => !coversScopes(scopes, [each], scopeRules))
    return {
      grant: { accessToken, receivedAt, ...refresh, ...ownerOf(grant) },
      scopes,
      accessEndsAt: accessEndsAt(granted.expiresInSeconds, accessTokenSeconds, receivedAt),
      ...(missing?.length && { missingScopes: missing }),
    }
  }

  return { store, settle, settleAll }
}

/** Whose a grant is, which no refresh changes. */
function ownerOf({ issuer, subject, label }: ActiveConnection['grant']) {
  return { issuer, subject, ...(label !== undefined && { label }) }
}
