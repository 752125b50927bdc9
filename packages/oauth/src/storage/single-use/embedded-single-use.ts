import { z } from 'zod'
import type { EmbeddedSteps } from '../embedded-steps.ts'
import type { SingleUseStore } from './single-use-store.ts'

const singleUseSchema = z.strictObject({ operationId: z.string().min(1) })

export function createEmbeddedSingleUse({ keeper, write, read, parse }: EmbeddedSteps): SingleUseStore {
  return {
    claimSingleUse: ({ kind, idHash, expiresAt, operationId, now }) =>
      write(() => {
        const id = JSON.stringify([kind, idHash])
        const before = keeper.find('single_use', id, now)
        // An unreadable mark is still a mark: whoever can spoil it must not get a second use out of it.
        if (before !== undefined) {
          return parse('single_use', singleUseSchema, before)?.operationId === operationId
            ? 'claimed'
            : 'used'
        }
        keeper.put('single_use', id, { value: JSON.stringify({ operationId }), expiresAt }, now)
        return 'claimed'
      }),
    isSingleUseClaimed: ({ kind, idHash, now }) =>
      read(() => keeper.find('single_use', JSON.stringify([kind, idHash]), now) !== undefined),
  }
}
