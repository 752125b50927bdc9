import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../store.ts'
import { aConnection, aGrant, type ConnectionWrite, hostileIds, now, tally, times } from './samples.ts'

/** Connections to upstream providers. */
export function describeConnections(getStore: () => Store): void {
  let store: Store
  beforeEach(() => {
    store = getStore()
  })

  describe('connections', () => {
    const key = { userId: 'user', provider: 'google', account: 'default' }
    const put = (over: Partial<ConnectionWrite> = {}) =>
      store.putConnection({ record: aConnection(over), now })

    it('counts generations, and finds what was written last until its end', async () => {
      expect(await put()).toBe(1)
      const second = aConnection({ sealed: 'second' })
      expect(await store.putConnection({ record: second, now })).toBe(2)
      expect(await store.findConnection({ ...key, now: now + 86_399 })).toEqual({
        ...second,
        generation: 2,
      })
      expect(await store.findConnection({ ...key, now: now + 86_400 })).toBeUndefined()
    })

    it('a refresh writes only over the generation it began with; of 20, one', async () => {
      await put()
      const outcomes = await Promise.all(
        times(20, () => store.replaceConnection({ record: aConnection(), generation: 1, now })),
      )
      expect(tally(outcomes)).toEqual({ replaced: 1, stale: 19 })
      expect((await store.findConnection({ ...key, now }))?.generation).toBe(2)
    })

    it('keeps what is known of its failures and its end', async () => {
      const record = aConnection({
        consentEndsAt: now + 7200,
        failure: { errorClass: 'transient', at: now, count: 3, nextAttemptAt: now + 4 },
        missingScopes: ['mail'],
        endedAt: now,
        endReason: 'lost',
      })
      await store.putConnection({ record, now })
      expect(await store.findConnection({ ...key, now })).toEqual({ ...record, generation: 1 })
    })

    it('R164: a write whose reply was lost is sent again and counts once', async () => {
      const record = aConnection({
        failure: { errorClass: 'transient', at: now, count: 3, nextAttemptAt: now + 4 },
      })
      expect(await store.putConnection({ record, now })).toBe(1)
      expect(await store.putConnection({ record, now })).toBe(1)
      const refreshed = aConnection()
      expect(await store.replaceConnection({ record: refreshed, generation: 1, now })).toBe('replaced')
      expect(await store.replaceConnection({ record: refreshed, generation: 1, now })).toBe('replaced')
      expect((await store.findConnection({ ...key, now }))?.generation).toBe(2)
    })

    it('R180: a refresh that began before the user disconnected and connected again writes nothing', async () => {
      const generation = await put()
      await store.deleteConnection({ ...key, now })
      expect(await store.findConnection({ ...key, now })).toBeUndefined()
      expect(await store.replaceConnection({ record: aConnection(), generation, now })).toBe('stale')
      await put({ sealed: 'another account' })
      expect(await store.replaceConnection({ record: aConnection(), generation, now })).toBe('stale')
      expect((await store.findConnection({ ...key, now }))?.sealed).toBe('another account')
    })

    it('keeps users, providers and accounts apart, whatever they are called', async () => {
      await put({ provider: 'b', account: 'c' })
      for (const userId of hostileIds) await put({ userId, provider: 'a', account: 'b' })
      for (const userId of hostileIds) {
        const found = await store.listConnections({ userId, now })
        expect(found.map(connection => connection.userId)).toEqual([userId])
      }
      expect(await store.findConnection({ userId: 'user', provider: 'a', account: 'b', now })).toBeUndefined()
    })

    const findOf = (accountHash: string, at = now) =>
      store
        .findConnectionsByAccount({ accountHash, now: at })
        .then(found =>
          found.map(({ userId, provider, account }) => `${userId} ${provider} ${account}`).sort(),
        )

    it("finds whose connections an account's are, of all users, dead ones too", async () => {
      expect(await findOf('ada')).toEqual([])
      await put({ accountHash: 'ada' })
      await put({ accountHash: 'ada', userId: 'another', account: 'work', state: 'dead' })
      await put({ accountHash: 'bob', account: 'second' })
      await put({ account: 'of an earlier version' })
      expect(await findOf('ada')).toEqual(['another google work', 'user google default'])
      expect(await store.findConnectionsByAccount({ accountHash: 'bob', now })).toEqual([
        await store.findConnection({ ...key, account: 'second', now }),
      ])
    })

    it('finds a connection by the account it is of now, and no longer by the one it was of', async () => {
      await put({ accountHash: 'ada' })
      await put({ accountHash: 'bob' })
      expect([await findOf('ada'), await findOf('bob')]).toEqual([[], ['user google default']])
      const record = aConnection({ accountHash: 'ada' })
      expect(await store.replaceConnection({ record, generation: 2, now })).toBe('replaced')
      expect([await findOf('ada'), await findOf('bob')]).toEqual([['user google default'], []])
      const late = aConnection({ accountHash: 'bob' })
      expect(await store.replaceConnection({ record: late, generation: 1, now })).toBe('stale')
      expect([await findOf('ada'), await findOf('bob')]).toEqual([['user google default'], []])
    })

    it('finds by the account until the connection ends or is deleted, and as long as it is renewed', async () => {
      await put({ accountHash: 'ada', expiresAt: now + 60 })
      await put({ accountHash: 'ada', expiresAt: now + 90, account: 'second' })
      await put({ accountHash: 'ada', expiresAt: now + 90, account: 'third' })
      await store.deleteConnection({ ...key, account: 'third', now })
      expect(await findOf('ada', now + 59)).toEqual(['user google default', 'user google second'])
      expect(await findOf('ada', now + 60)).toEqual(['user google second'])
      const record = aConnection({ accountHash: 'ada', account: 'second', expiresAt: now + 600 })
      await store.replaceConnection({ record, generation: 1, now: now + 30 })
      expect(await findOf('ada', now + 599)).toEqual(['user google second'])
      expect(await findOf('ada', now + 600)).toEqual([])
      // A shorter life than it had.
      await put({ accountHash: 'ada', expiresAt: now + 90, account: 'second' })
      expect(await findOf('ada', now + 90)).toEqual([])
    })

    const holders = async (tokenHash: string, at = now) =>
      (await store.findConnectionsByToken({ tokenHash, now: at })).map(({ account }) => account).sort()

    it('finds a connection by each hash of its refresh token, and by none of an earlier one', async () => {
      expect(await holders('prefix')).toEqual([])
      await put({ tokenHashes: ['prefix', 'double'], accountHash: 'ada' })
      await put({ tokenHashes: ['prefix'], accountHash: 'ada', account: 'second' })
      await put({ tokenHashes: ['other'], account: 'third' })
      expect([await holders('prefix'), await holders('double')]).toEqual([['default', 'second'], ['default']])
      expect(await findOf('ada')).toEqual(['user google default', 'user google second'])
      const record = aConnection({ tokenHashes: ['double', 'renewed'], accountHash: 'ada' })
      expect(await store.replaceConnection({ record, generation: 1, now })).toBe('replaced')
      expect([await holders('prefix'), await holders('double'), await holders('renewed')]).toEqual([
        ['second'],
        ['default'],
        ['default'],
      ])
      const ended = aConnection({ accountHash: 'ada', state: 'dead' })
      expect(await store.replaceConnection({ record: ended, generation: 2, now })).toBe('replaced')
      expect([await holders('double'), await holders('renewed')]).toEqual([[], []])
      await store.deleteConnection({ ...key, account: 'second', now })
      expect(await holders('prefix')).toEqual([])
      expect(await findOf('ada')).toEqual(['user google default'])
    })

    it('an account and a token whose hashes are the same are not taken for each other', async () => {
      await put({ accountHash: 'same' })
      await put({ tokenHashes: ['same'], account: 'second' })
      expect([await findOf('same'), await holders('same')]).toEqual([['user google default'], ['second']])
    })

    it('R169: names made to break out of a list are found as they are', async () => {
      for (const id of hostileIds) await put({ accountHash: id, userId: id, account: id })
      for (const id of hostileIds) expect(await findOf(id)).toEqual([`${id} google ${id}`])
    })

    /** The connections of all pages, by whose they are; `between` runs after each page. */
    const walk = async (limit: number, between: () => Promise<unknown> = async () => {}) => {
      const found: string[] = []
      let cursor: string | undefined
      do {
        const page = await store.listAllConnections({ cursor, limit, now })
        found.push(...page.connections.map(({ userId, provider }) => `${userId} ${provider}`))
        cursor = page.cursor
        await between()
      } while (cursor !== undefined)
      return new Set(found)
    }

    it.each([1, 3, 7, 100])('R178: in pages of %i every connection of every user is found', async limit => {
      expect(await walk(limit)).toEqual(new Set())
      const names = times(7, i => ({ userId: `user-${i % 3}`, provider: `provider-${i}` }))
      for (const name of names) await put(name)
      await put({ userId: 'ended', expiresAt: now })
      await put({ userId: 'gone' })
      await store.deleteConnection({ ...key, userId: 'gone', now })
      await store.putGrant({ record: aGrant(), now })
      expect(await walk(limit)).toEqual(new Set(names.map(name => `${name.userId} ${name.provider}`)))
    })

    it('R178: a connection that is there all the time is found, whatever comes, goes and changes meanwhile', async () => {
      for (const i of times(6, i => i)) await put({ userId: `stays-${i}` })
      for (const i of times(6, i => i)) await put({ userId: `goes-${i}` })
      let step = 0
      const found = await walk(2, async () => {
        await store.deleteConnection({ ...key, userId: `goes-${step % 6}`, now })
        await put({ userId: `stays-${step % 6}` })
        // Comes to an end, so that the walk does too.
        if (step < 20) await put({ userId: `comes-${step}` })
        step++
      })
      expect([...found]).toEqual(expect.arrayContaining(times(6, i => `stays-${i} google`)))
    })
  })
}
