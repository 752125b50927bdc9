import { z } from 'zod'
import type { EmbeddedSteps } from '../embedded-steps.ts'
import { operationKey } from '../operation-id.ts'
import { type Grant, type Revocation, recordSchemas } from '../records.ts'
import {
  countFailedRedemption,
  type GrantStep,
  grantEndsAt,
  redeemCode,
  revokeGrant,
  rotateRefreshToken,
} from './grant-steps.ts'
import type { GrantStore } from './grant-store.ts'

/** How long a revocation stays on the feed when no access token makes it stay longer, in seconds. */
const feedMemorySeconds = 60

const text = z.string().min(1)
const outcomeSchema = z.union([text, z.strictObject({ outcome: text, replay: text.optional() })])

export function createEmbeddedGrants({
  keeper,
  write,
  read,
  find,
  list,
  listPage,
  rememberOutcome,
  assertOpen,
}: EmbeddedSteps): GrantStore {
  const findGrant = (id: string, now: number) => find('grant', recordSchemas.grant, id, now)
  const putGrant = (grant: Grant, now: number) =>
    keeper.put(
      'grant',
      grant.id,
      {
        value: JSON.stringify(grant),
        expiresAt: grantEndsAt(grant),
        userId: grant.userId,
        clientId: grant.clientId,
      },
      now,
    )

  const putRevocation = ({ id, accessEndsAt }: Grant, now: number): Revocation => {
    const revocation = { grantId: id, accessEndsAt }
    const expiresAt = Math.max(accessEndsAt, now + feedMemorySeconds)
    keeper.put('revocation', id, { value: JSON.stringify(revocation), expiresAt }, now)
    return revocation
  }

  /** One step of a token family, once per operation id. */
  const stepGrant = <Step extends { id: string; operationId: string; now: number }, Outcome>(
    name: string,
    step: Step,
    rule: (grant: Grant, step: Step) => GrantStep<Outcome>,
    unknown: Outcome,
  ): Promise<Outcome> =>
    write(revocations => {
      const { id, now } = step
      const operation = operationKey(name, step)
      const earlier = find('operation', outcomeSchema, operation, now)
      if (earlier !== undefined) return earlier as Outcome
      const before = findGrant(id, now)
      if (!before) return unknown
      const { grant, outcome } = rule(before, step)
      const hasChanged = grant !== before
      // Any other outcome stays what it is when the step comes again.
      if (hasChanged || isGrace(outcome)) rememberOutcome(operation, outcome, now)
      if (hasChanged) putGrant(grant, now)
      if (grant.revokedAt !== before.revokedAt) revocations.push(putRevocation(grant, now))
      return outcome
    })

  return {
    putGrant: ({ record, now }) =>
      write(() => {
        // Sent again after the code was redeemed, it must not make the code new.
        if (!findGrant(record.id, now)) putGrant(record, now)
      }),
    findGrant: ({ id, now }) => read(() => findGrant(id, now)),
    listGrants: ({ now, ...by }) =>
      read(() =>
        list('grant', recordSchemas.grant, by, now)
          .filter(grant => grant.revokedAt === undefined)
          .reverse()
          .sort((a, b) => b.createdAt - a.createdAt),
      ),
    redeemCode: step => stepGrant('redeemCode', step, redeemCode, 'unknown'),
    async countFailedRedemption(step) {
      await stepGrant('countFailedRedemption', step, countFailedRedemption, 'ignored')
    },
    rotateRefreshToken: step =>
      stepGrant('rotateRefreshToken', step, rotateRefreshToken, { outcome: 'unknown' }),
    revokeGrant: step => stepGrant('revokeGrant', step, revokeGrant, 'unknown'),
    revokeGrants: ({ of, cursor, limit, ...step }) =>
      write(revocations => {
        const by = of === 'tenant' ? undefined : of
        const { now } = step
        const page = listPage('grant', recordSchemas.grant, by, { cursor, limit }, now)
        for (const before of page.records) {
          if (before.revokedAt !== undefined) continue
          const { grant } = revokeGrant(before, { ...step, id: before.id })
          putGrant(grant, now)
          revocations.push(putRevocation(grant, now))
        }
        return { revoked: revocations.map(({ grantId }) => grantId), cursor: page.cursor }
      }),
    listRevocations: ({ now }) =>
      read(() =>
        list('revocation', recordSchemas.revocation, undefined, now).filter(
          ({ accessEndsAt }) => accessEndsAt > now,
        ),
      ),
    watchRevocations(watcher) {
      assertOpen()
      return keeper.revocations.watch(watcher)
    },
  }
}

function isGrace(outcome: unknown): boolean {
  return typeof outcome === 'object' && outcome !== null && 'replay' in outcome
}
