import { z } from 'zod'
import type { EmbeddedSteps } from '../embedded-steps.ts'
import type { UserStore } from './user-store.ts'

const userIdSchema = z.string().min(1)

export function createEmbeddedUsers({ keeper, write, read, find }: EmbeddedSteps): UserStore {
  return {
    findOrPutUser: ({ identityHash, userId, expiresAt, now }) =>
      write(() => {
        const known = find('user', userIdSchema, identityHash, now) ?? userId
        keeper.put('user', identityHash, { value: JSON.stringify(known), expiresAt }, now)
        return known
      }),
    findUser: ({ identityHash, now }) => read(() => find('user', userIdSchema, identityHash, now)),

    putDisabledUser: ({ userId, expiresAt, now }) =>
      write(() => keeper.put('disabled_user', userId, { value: 'true', expiresAt }, now)),
    deleteDisabledUser: ({ userId }) => write(() => keeper.delete('disabled_user', userId)),
    isUserDisabled: ({ userId, now }) => read(() => keeper.find('disabled_user', userId, now) !== undefined),
  }
}
