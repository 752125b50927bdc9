import { type Revocation, recordSchemas } from '../records.ts'
import type { RedisSteps } from '../redis-steps.ts'

/** Revocations whose last access token ends after a score: `-inf` for all, `(now` for those that still count. */
export async function listRedisRevocations(
  { keys, commands, unreadable, parse }: RedisSteps,
  after: string,
): Promise<Revocation[]> {
  const until = commands.stepEndsAt()
  const found = await Promise.all(
    keys
      .allRevocations()
      .map(key => commands.read(client => client.zrangebyscore(key, after, '+inf', 'WITHSCORES'), until)),
  )
  return found.flatMap(entries => {
    const flat = (entries ?? unreadable('revocation') ?? []).flat()
    return flat.flatMap((grantId, i) => {
      if (i % 2 === 1) return []
      const accessEndsAt = Number(flat[i + 1])
      return parse('revocation', recordSchemas.revocation, () => ({ grantId, accessEndsAt })) ?? []
    })
  })
}
