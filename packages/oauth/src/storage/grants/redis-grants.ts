import { type Script, scripts } from '../lua.generated.ts'
import { operationKey } from '../operation-id.ts'
import type { Grant } from '../records.ts'
import type { RedisFeed } from '../redis-feed.ts'
import type { RedisSteps } from '../redis-steps.ts'
import { grantEndsAt } from './grant-steps.ts'
import type { GrantStore, RedeemOutcome, RotateOutcome } from './grant-store.ts'
import { grantToFields } from './redis-grant-fields.ts'
import type { RedisGrantReader } from './redis-grant-reader.ts'
import { listRedisRevocations } from './redis-revocations.ts'

/** How many families are read at once for a list. */
const listBatchSize = 200

export function createRedisGrants(
  steps: RedisSteps,
  { findGrant, listPage }: RedisGrantReader,
  feed: RedisFeed,
): GrantStore {
  const { keys, commands, run, runConfirmed, put, unreadable, assertOpen } = steps
  const channel = keys.revocationChannel()

  /** Both lists a family is found on. They lie in other slots, and are written before the family itself. */
  const indexGrant = (
    grant: { id: string; userId: string; clientId: string },
    endsAt: number,
    now: number,
    until: number,
  ) =>
    Promise.all(
      [{ userId: grant.userId }, { clientId: grant.clientId }].map(by =>
        put('grant', scripts.indexRecord, [keys.grantsOf(by)], [now, grant.id, endsAt], until),
      ),
    )

  /** One step of a token family, once per operation id; `revoking` are the outcomes by which it ends the family. */
  const stepGrant = async (
    name: string,
    script: Script,
    step: { id: string; operationId: string; now: number },
    revoking: readonly string[],
    args: (indexedUntil: number) => readonly (string | number)[],
  ): Promise<{ outcome: string; replay: string }> => {
    const { id, now } = step
    const until = commands.stepEndsAt()
    const keyNames = [
      keys.grant(id),
      keys.grantOperation(id, operationKey(name, step)),
      keys.revocations(id),
    ].slice(0, script.keys)
    let indexedUntil = 0
    for (;;) {
      const reply = await runConfirmed('grant', script, keyNames, [now, ...args(indexedUntil)], until)
      const [outcome, ...rest] = reply?.map(String) ?? ['unknown']
      if (outcome !== 'index') {
        const [replay = '', accessEndsAt] = rest
        if (revoking.includes(outcome!)) {
          feed.announce([{ grantId: id, accessEndsAt: Number(accessEndsAt) }])
        }
        return { outcome: outcome!, replay }
      }
      const [userId = '', clientId = '', recordEndsAt, endsAt] = rest
      indexedUntil = indexEndsAt(Number(recordEndsAt), Number(endsAt), now)
      await indexGrant({ id, userId, clientId }, indexedUntil, now, until)
    }
  }

  const revokeGrant: GrantStore['revokeGrant'] = async step => {
    const { outcome } = await stepGrant('revokeGrant', scripts.revokeGrant, step, ['revoked'], () => [
      step.reason,
      channel,
      step.id,
    ])
    return outcome as 'revoked' | 'already' | 'unknown'
  }

  /** One page of the ids on a list, which may name what is gone. */
  const listIdPage = async (key: string, cursor: string | undefined, limit: number, until: number) => {
    const [next, flat] = (await commands.read(
      client => client.zscan(key, cursor ?? '0', 'COUNT', limit),
      until,
    )) ??
      unreadable('grant') ?? ['0', []]
    // The same member may come twice.
    return { ids: [...new Set(flat.filter((_, i) => i % 2 === 0))], cursor: next === '0' ? undefined : next }
  }

  return {
    async putGrant({ record, now }) {
      const until = commands.stepEndsAt()
      const endsAt = grantEndsAt(record)
      await indexGrant(record, endsAt, now, until)
      const fields = { ...grantToFields(record), indexedUntil: `${endsAt}` }
      await put(
        'grant',
        scripts.putGrant,
        [keys.grant(record.id)],
        [now, endsAt, ...Object.entries(fields).flat()],
        until,
      )
    },
    findGrant: ({ id, now }) => findGrant(id, now),
    async listGrants({ now, ...by }) {
      const until = commands.stepEndsAt()
      const key = keys.grantsOf(by)
      const ids =
        (await commands.read(client => client.zrangebyscore(key, `(${now}`, '+inf'), until)) ??
        unreadable('grant') ??
        []
      const grants: Grant[] = []
      for (let i = 0; i < ids.length; i += listBatchSize) {
        const batch = ids.slice(i, i + listBatchSize)
        for (const grant of await Promise.all(batch.map(id => findGrant(id, now, until)))) {
          if (grant && grant.revokedAt === undefined) grants.push(grant)
        }
      }
      return grants.sort((a, b) => b.createdAt - a.createdAt)
    },
    async redeemCode(step) {
      const { codeHash, refresh, accessEndsAt } = step
      const { outcome } = await stepGrant(
        'redeemCode',
        scripts.redeemCode,
        step,
        ['replayed'],
        indexedUntil => [
          codeHash,
          refresh?.hash ?? '',
          refresh?.idleEndsAt ?? '',
          accessEndsAt,
          indexedUntil,
          channel,
          step.id,
        ],
      )
      return outcome as RedeemOutcome
    },
    async countFailedRedemption(step) {
      const { id, now, codeHash, limit } = step
      const operation = operationKey('countFailedRedemption', step)
      await run(
        'grant',
        scripts.countFailedRedemption,
        [keys.grant(id), keys.grantOperation(id, operation)],
        [now, codeHash, limit],
      )
    },
    async rotateRefreshToken(step) {
      const { outcome, replay } = await stepGrant(
        'rotateRefreshToken',
        scripts.rotateRefreshToken,
        step,
        ['reused'],
        indexedUntil => [
          step.presentedHash,
          step.genuine ? 1 : 0,
          step.successorHash,
          step.replay,
          step.graceSeconds,
          step.idleEndsAt,
          step.accessEndsAt,
          indexedUntil,
          channel,
          step.id,
        ],
      )
      if (outcome === 'rotated') {
        // Heard: from now on the grace is as short as the caller wants it. Nobody waits for this; when it gets lost,
        // the grace of this rotation is longer, and the next one ends it.
        commands
          .read(client => client.hdel(keys.grant(step.id), `unheard:${step.successorHash}`))
          .catch(() => {})
      }
      return (outcome === 'grace' ? { outcome, replay } : { outcome }) as RotateOutcome
    },
    revokeGrant,
    async revokeGrants({ of, cursor, limit, ...step }) {
      const until = commands.stepEndsAt()
      const page =
        of === 'tenant'
          ? await listPage(step.now, cursor, limit, until).then(({ grants, cursor }) => ({
              ids: [...new Set(grants.map(({ id }) => id))],
              cursor,
            }))
          : await listIdPage(keys.grantsOf(of), cursor, limit, until)
      const outcomes = await Promise.all(page.ids.map(id => revokeGrant({ ...step, id })))
      return { revoked: page.ids.filter((_, i) => outcomes[i] === 'revoked'), cursor: page.cursor }
    },
    listRevocations: ({ now }) => listRedisRevocations(steps, `(${now}`),
    watchRevocations(watcher) {
      assertOpen()
      return feed.watch(watcher)
    },
  }
}

/**
 * Until when a family is put on its lists: an idle life longer than needed now, so that not every rotation has to
 * write them, but never past the end that no rotation moves.
 */
function indexEndsAt(recordEndsAt: number, endsAt: number, now: number): number {
  const generous = recordEndsAt + (recordEndsAt - now)
  return endsAt === 0 ? generous : Math.max(recordEndsAt, Math.min(generous, endsAt))
}
