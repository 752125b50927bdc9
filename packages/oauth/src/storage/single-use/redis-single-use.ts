import { scripts } from '../lua.generated.ts'
import type { RedisSteps } from '../redis-steps.ts'
import type { SingleUseStore } from './single-use-store.ts'

export function createRedisSingleUse({ keys, run, isMarked }: RedisSteps): SingleUseStore {
  return {
    async claimSingleUse({ kind, idHash, expiresAt, operationId, now }) {
      const reply = await run(
        'single_use',
        scripts.claimSingleUse,
        [keys.singleUse(kind, idHash)],
        [now, operationId, expiresAt],
      )
      // An unreadable mark is still a mark.
      return (reply?.[0] ?? 'used') as 'claimed' | 'used'
    },
    isSingleUseClaimed: ({ kind, idHash, now }) =>
      isMarked(keys.singleUse(kind, idHash), now, value => Number(/^(\d+):/.exec(value)?.[1])),
  }
}
