import type { ProviderHost, RevocableTokens, RevocationResult } from '@sallyport/mcp-server'
import { type ConnectionKey, revocationSealContext, revocationTask, type Task } from '@sallyport/oauth'
import type { ActiveConnection, ConnectionVault, HeldConnection } from './connection-vault.ts'
import { type ExternalGrant, parseExternalGrant } from './external-token.ts'
import { asObject, parseJson } from './json.ts'
import { claimRefresh } from './refresh-lease.ts'
import { type Done, workOff } from './work-queue.ts'

/** Tokens of ended connections on their way to be revoked at the provider (R142). */
export interface RevocationOutbox {
  /** Takes tokens that are in no connection any more. Does nothing where revocation is off. */
  put(key: ConnectionKey, grant: ExternalGrant, accessEndsAt: number): Promise<void>
  /**
   * Takes tokens that no connection has ever kept. They are revoked only as long as nobody here has a connection to that
   * account: many providers know one grant for each account and client, and revoking any of its tokens ends it, so that
   * opening somebody else's link, or choosing a wrong account, would cut off whoever has connected it.
   */
  putUnkept(userId: string, grant: ExternalGrant, accessEndsAt: number): Promise<void>
  /** Revokes what is due. */
  run(signal?: AbortSignal): Promise<void>
}

const parallel = 4

/** Pauses after the first failure and at most, in seconds: half a minute, six hours. */
const firstPauseSeconds = 30
const maxPauseSeconds = 21_600

/** How long to leave a connection alone that somebody refreshes, or has not deleted yet, in seconds. */
const busySeconds = 30

/** Creates the outbox of one provider. `revoke` never throws for what the provider does. */
export function createRevocationOutbox(parts: {
  host: ProviderHost
  provider: string
  vault: Pick<ConnectionVault, 'list' | 'keyOf' | 'isConnected'>
  revoke(tokens: RevocableTokens): Promise<RevocationResult>
}): RevocationOutbox {
  const { host, provider, vault, revoke } = parts
  const { store, sealer, clock, emit } = host

  const seal = (task: Task, content: Content) =>
    sealer.seal(JSON.stringify(content), revocationSealContext(host.tenant, task))
  const add = async (key: ConnectionKey, content: Content, accessEndsAt: number) => {
    if (host.revokesUpstream === false) return
    const record = revocationTask(host, { ...key, accessEndsAt, plaintext: JSON.stringify(content) })
    await store.putTask({ record, replaces: false, now: clock() })
  }

  const failed = ({ userId, account }: Task, errorClass: 'refused' | 'expired' | 'unreadable'): Done => ({
    tell: () => emit({ type: 'upstream_revocation_failed', userId, provider, account, errorClass }),
  })

  function again(task: Task, grant: Content, result: RevocationResult & { outcome: 'later' }): Done {
    const attempts = task.attempts + 1
    const pause = Math.min(firstPauseSeconds * 2 ** Math.min(task.attempts, 12), maxPauseSeconds)
    const dueAt = clock() + Math.max(pause, result.afterSeconds ?? 0)
    if (dueAt >= task.expiresAt) return failed(task, 'expired')
    const { accessToken, refreshToken, accessEndsAt } = result.tokens
    const kept = { ...grant, accessToken, ...(refreshToken !== undefined && { refreshToken }) }
    const sealed = seal(task, kept)
    return { next: { attempts, dueAt, sealed, accessEndsAt }, insists: accessToken !== grant.accessToken }
  }

  async function work(task: Task): Promise<Done> {
    const { userId, account, accessEndsAt = 0 } = task
    const opened = sealer.open(task.sealed ?? '', revocationSealContext(host.tenant, task))
    const grant = opened && parseContent(opened.plaintext)
    if (!grant) return failed(task, 'unreadable')
    if (grant.isUnkept && (await vault.isConnected(grant))) return {}
    const held = (await vault.list(userId)).find(isOfAccount(grant))
    // Revoking would end what the user has just granted again: some providers take back the whole grant.
    if (held && held.grant.accessToken !== grant.accessToken) return {}
    // Whoever deletes the connection has put the task first, so that nothing is forgotten, and is still at it.
    if (held) return { next: { dueAt: clock() + busySeconds } }
    // A refresh under way may be about to get tokens for the ones in hand.
    const claim = await claimRefresh(host, { userId, provider, account }, { takesOver: true })
    if (claim.outcome !== 'claimed') return { next: { dueAt: clock() + busySeconds } }
    try {
      const { accessToken, refreshToken, dpopKey } = grant
      const tokens = {
        accessToken,
        accessEndsAt,
        ...(refreshToken !== undefined && { refreshToken }),
        ...(dpopKey && { dpopKey }),
      }
      const result = await revoke(tokens)
      if (result.outcome === 'later') return again(task, grant, result)
      if (result.outcome === 'refused') return failed(task, 'refused')
      if (result.outcome === 'unsupported') return {}
      return { tell: () => emit({ type: 'grant_revoked_upstream', userId, provider, account }) }
    } finally {
      await claim.lease.release()
    }
  }

  return {
    put: add,
    putUnkept: (userId, grant, accessEndsAt) =>
      add(vault.keyOf(userId, grant), { ...grant, isUnkept: true }, accessEndsAt),
    run: signal => workOff(host, { kind: 'revocation', provider }, { parallel, signal }, work),
  }
}

/** What a task seals: the tokens, and whether no connection has ever kept them. */
type Content = ExternalGrant & { isUnkept?: true }

function parseContent(plaintext: string): Content | undefined {
  const { isUnkept, ...tokens } = asObject(parseJson(plaintext)) ?? {}
  const grant = parseExternalGrant(JSON.stringify(tokens))
  return grant && { ...grant, ...(isUnkept === true && { isUnkept }) }
}

/** Tells a live connection to the account of a grant. */
function isOfAccount({ issuer, subject }: ExternalGrant) {
  return (held: HeldConnection): held is ActiveConnection =>
    held.state === 'active' && held.grant.issuer === issuer && held.grant.subject === subject
}
