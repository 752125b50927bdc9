import { scripts } from '../lua.generated.ts'
import type { RedisSteps } from '../redis-steps.ts'
import type { UserStore } from './user-store.ts'

export function createRedisUsers({
  keys,
  commands,
  put,
  putConfirmed,
  unreadable,
  isMarked,
}: RedisSteps): UserStore {
  return {
    async findOrPutUser({ identityHash, userId, expiresAt, now }) {
      const reply = await put(
        'user',
        scripts.findOrPutUser,
        [keys.user(identityHash)],
        [now, userId, expiresAt],
      )
      return String(reply[1])
    },
    async findUser({ identityHash, now }) {
      const key = keys.user(identityHash)
      const fields = await commands.read(client => client.hmget(key, 'userId', 'endsAt'))
      if (!fields) return unreadable('user')
      const [userId, endsAt] = fields
      return userId && Number(endsAt) > now ? userId : undefined
    },

    async putDisabledUser({ userId, expiresAt, now }) {
      const key = keys.disabledUser(userId)
      await putConfirmed('disabled_user', scripts.putDisabledUser, [key], [now, expiresAt])
    },
    async deleteDisabledUser({ userId, now }) {
      await put('disabled_user', scripts.putDisabledUser, [keys.disabledUser(userId)], [now, ''])
    },
    isUserDisabled: ({ userId, now }) => isMarked(keys.disabledUser(userId), now),

    async putSignOut({ userId, at, expiresAt, now }) {
      await putConfirmed('sign_out', scripts.putSignOut, [keys.signOut(userId)], [now, at, expiresAt])
    },
    async findSignOut({ userId, now }) {
      const marks = await Promise.all(
        [userId, undefined].map(who => commands.read(client => client.get(keys.signOut(who)))),
      )
      const ends = marks.flatMap(mark => {
        if (mark === null) return []
        const [, at, endsAt] = /^(\d+):(\d+)$/.exec(mark ?? '') ?? []
        // An unreadable mark is still a mark.
        if (at === undefined) return now
        return Number(endsAt) > now ? Number(at) : []
      })
      return ends.length > 0 ? Math.max(...ends) : undefined
    },
  }
}
