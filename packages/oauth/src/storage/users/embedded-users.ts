import { z } from 'zod'
import type { EmbeddedSteps } from '../embedded-steps.ts'
import type { UserStore } from './user-store.ts'

const userIdSchema = z.string().min(1)
const signOutSchema = z.object({ at: z.int(), endsAt: z.int() })
const signOutId = (userId: string | undefined) => (userId === undefined ? 'all' : `user:${userId}`)

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

    putSignOut: ({ userId, at, expiresAt, now }) =>
      write(() => {
        const id = signOutId(userId)
        const known = find('sign_out', signOutSchema, id, now)
        const next = { at: Math.max(at, known?.at ?? 0), endsAt: Math.max(expiresAt, known?.endsAt ?? 0) }
        keeper.put('sign_out', id, { value: JSON.stringify(next), expiresAt: next.endsAt }, now)
      }),
    findSignOut: ({ userId, now }) =>
      read(() => {
        const ends = [userId, undefined].flatMap(
          who => find('sign_out', signOutSchema, signOutId(who), now)?.at ?? [],
        )
        return ends.length > 0 ? Math.max(...ends) : undefined
      }),
  }
}
