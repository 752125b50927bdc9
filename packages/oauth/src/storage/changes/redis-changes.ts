import type { RedisFeed } from '../redis-feed.ts'
import type { RedisSteps } from '../redis-steps.ts'
import type { ChangeStore } from './change-store.ts'

export function createRedisChanges({ keys, commands, assertOpen }: RedisSteps, feed: RedisFeed): ChangeStore {
  const channel = keys.changeChannel()
  return {
    async announceChange({ sealed }) {
      await commands.read(client => client.publish(channel, sealed))
    },
    watchChanges(watcher) {
      assertOpen()
      return feed.watchChanges(watcher)
    },
  }
}
