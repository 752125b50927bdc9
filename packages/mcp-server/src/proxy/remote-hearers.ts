import type { Asking, SourceHearing } from '../composition/offer-source.ts'
import type { Caller, ClientCaller } from '../tools/call-context.ts'
import type { SessionListener } from './remote-session.ts'

/** Somebody who hears of what changes at a remote server, in a session that is theirs or everybody's. */
export interface RemoteHearer {
  /** Who it is; undefined when they may hear nothing now. */
  asking(): Asking | undefined
  /** Resources they follow, as the remote server knows them. */
  followed(): Iterable<string>
  changed(): void
  updated(uri: string): void
}

/** Those who hear, by whose session it is: nobody is told of what another caller's session sees (R160, R179). */
export interface RemoteHearers {
  hear(hearer: RemoteHearer): SourceHearing
  /** What a session tells, for those whose it is. */
  listenerOf(key: string): SessionListener
  /** Has their session follow what they follow, soon. */
  refresh(key: string): void
  close(): void
}

/** How often sessions are looked after that somebody hears of, in milliseconds: tokens end, connections break. */
const lookMs = 60_000
/** Before a connection that has ended is made again, in milliseconds; then with the next look. */
const retryMs = 1_000

/** How many resources one hearer follows at most, and all whose session it is. */
const maxFollowed = 100
const maxFollowedInAll = 5_000

interface Group {
  readonly hearers: Set<RemoteHearer>
  /** What is told soon, together with what comes until then. */
  hasChanged: boolean
  readonly updated: Set<string>
  telling: ReturnType<typeof setTimeout> | undefined
  retrying: ReturnType<typeof setTimeout> | undefined
}

/**
 * Creates those who hear of one remote server.
 *
 * @param options.keyOf whose session a caller uses
 * @param options.isShared whether there is one session for all
 * @param options.sync has a session follow what is to be followed; `asking` opens it where there is none
 * @param options.settleMs how long after a change it is told, with all that come until then. Default 200
 */
export function createRemoteHearers(options: {
  keyOf(caller: Caller | ClientCaller | undefined): string
  isShared: boolean
  sync(key: string, asking: Asking | undefined): Promise<void>
  settleMs?: number
}): RemoteHearers {
  const { keyOf, isShared, settleMs = 200 } = options
  const groups = new Map<string, Group>()
  let looking: ReturnType<typeof setInterval> | undefined
  let isClosed = false

  const groupOf = (key: string): Group => {
    let group = groups.get(key)
    if (!group) {
      group = {
        hearers: new Set(),
        hasChanged: false,
        updated: new Set(),
        telling: undefined,
        retrying: undefined,
      }
      groups.set(key, group)
      if (!isClosed)
        looking ??= setInterval(() => {
          for (const each of groups.keys()) refresh(each)
        }, lookMs).unref()
    }
    return group
  }
  const leave = (key: string, hearer: RemoteHearer) => {
    const group = groups.get(key)
    if (!group?.hearers.delete(hearer) || group.hearers.size > 0) return
    clearTimeout(group.telling)
    clearTimeout(group.retrying)
    groups.delete(key)
    if (groups.size > 0) return
    clearInterval(looking)
    looking = undefined
  }
  const refresh = (key: string): void => {
    if (isClosed) return
    const askings = [...(groups.get(key)?.hearers ?? [])].map(hearer => hearer.asking())
    // What fails now is tried again with the next look.
    options
      .sync(
        key,
        askings.find(asking => asking !== undefined),
      )
      .catch(() => {})
  }
  /** One that tells of changes all the time is not heard all the time. */
  const tellSoon = (key: string, note: (group: Group) => void) => {
    const group = groups.get(key)
    if (!group) return
    note(group)
    group.telling ??= setTimeout(() => {
      const { hasChanged } = group
      const updated = [...group.updated]
      group.telling = undefined
      group.hasChanged = false
      group.updated.clear()
      for (const hearer of group.hearers) {
        if (!hearer.asking()) continue
        if (hasChanged) hearer.changed()
        const followed = new Set(hearer.followed())
        for (const uri of updated) if (followed.has(uri)) hearer.updated(uri)
      }
    }, settleMs).unref()
  }

  return {
    hear(hearer) {
      const keyNow = () => keyOf(hearer.asking()?.caller)
      const followedNow = () => (hearer.asking() ? [...hearer.followed()].join('\n') : '')
      let key = keyNow()
      let followed = ''
      groupOf(key).hearers.add(hearer)
      /** Called with every request of a session: nothing is to be done unless something is different. */
      const sync = (isNew = false) => {
        const before = key
        const had = followed
        key = keyNow()
        followed = followedNow()
        if (key !== before) {
          leave(before, hearer)
          groupOf(key).hearers.add(hearer)
          refresh(before)
        } else if (followed === had && !isNew) return
        refresh(key)
      }
      // A session of their own begins to listen, though nothing is followed yet; everybody's does so anyway.
      sync(!isShared)
      return {
        refresh: () => sync(),
        close() {
          leave(key, hearer)
          if (followed !== '') refresh(key)
        },
      }
    },
    listenerOf: key => ({
      listens: () => groups.has(key),
      followed: () => {
        const uris = new Set<string>()
        const asking = [...(groups.get(key)?.hearers ?? [])].flatMap(hearer => {
          const who = hearer.asking()
          return who ? { hearer, isAnybody: who.caller === undefined } : []
        })
        // Callers who are not signed in do not keep out those who are (R171).
        for (const { hearer } of asking.sort((a, b) => Number(a.isAnybody) - Number(b.isAnybody))) {
          for (const uri of [...hearer.followed()].slice(0, maxFollowed)) {
            if (uris.size < maxFollowedInAll) uris.add(uri)
          }
        }
        return uris
      },
      onChanged: () =>
        tellSoon(key, group => {
          group.hasChanged = true
        }),
      onUpdated: uri =>
        tellSoon(key, group => {
          // It may tell of what nobody asked about, without end.
          if (group.updated.size < maxFollowedInAll) group.updated.add(uri)
        }),
      onLost() {
        const group = groups.get(key)
        if (!group) return
        group.retrying ??= setTimeout(() => {
          group.retrying = undefined
          refresh(key)
        }, retryMs).unref()
      },
    }),
    refresh,
    close() {
      isClosed = true
      clearInterval(looking)
      for (const { telling, retrying } of groups.values()) {
        clearTimeout(telling)
        clearTimeout(retrying)
      }
      groups.clear()
    },
  }
}
