import { type Grant, recordSchemas } from '../records.ts'
import { scanKeys } from '../redis-scan.ts'
import type { RedisSteps } from '../redis-steps.ts'
import { grantEndsAt } from './grant-steps.ts'
import { grantFromFields } from './redis-grant-fields.ts'

/** Reads token families; `until` as in {@link RedisSteps.commands}. */
export interface RedisGrantReader {
  findGrant(id: string, now: number, until?: number): Promise<Grant | undefined>
  /** One page of all families. The same one may come twice. */
  listPage(
    now: number,
    cursor: string | undefined,
    limit: number,
    until?: number,
  ): Promise<{ grants: Grant[]; cursor: string | undefined }>
}

export function createRedisGrantReader({ keys, commands, unreadable, parse }: RedisSteps): RedisGrantReader {
  const readGrant = async (key: string, now: number, until: number): Promise<Grant | undefined> => {
    const fields = (await commands.read(client => client.hgetall(key), until)) ?? unreadable('grant')
    if (!fields || Object.keys(fields).length === 0) return undefined
    const grant = parse('grant', recordSchemas.grant, () => grantFromFields(fields))
    return grant && grantEndsAt(grant) > now ? grant : undefined
  }

  return {
    findGrant: (id, now, until = commands.stepEndsAt()) => readGrant(keys.grant(id), now, until),
    async listPage(now, cursor, limit, until = commands.stepEndsAt()) {
      const page = await commands.read(client => scanKeys(client, keys.grantsPattern(), cursor, limit), until)
      const found = await Promise.all((page?.found ?? []).map(key => readGrant(key, now, until)))
      return { grants: found.flatMap(grant => grant ?? []), cursor: page?.cursor }
    },
  }
}
