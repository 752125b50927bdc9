import { describe, expect, it } from 'vitest'
import { createKeys, type Keys } from './keys.ts'

const hostile = ['*', 'a:b', '{x}', '}{', '__proto__', 'a b\r\nDEL x', 'ключ', 'x'.repeat(10_240)]

/** Every key that is made from something that comes from outside. */
const named: Record<string, (keys: Keys, id: string) => string> = {
  grant: (keys, id) => keys.grant(id),
  revocations: (keys, id) => keys.revocations(id),
  'grants of a user': (keys, id) => keys.grantsOf({ userId: id }),
  'grants of a client': (keys, id) => keys.grantsOf({ clientId: id }),
  connections: (keys, id) => keys.connections(id),
  'connections to an account': (keys, id) => keys.connectionsOf(id),
  tasks: (keys, id) => keys.tasks({ kind: 'refresh', provider: id }),
  user: (keys, id) => keys.user(id),
  'client tombstone': (keys, id) => keys.clientTombstone(id),
  'pending authorization': (keys, id) => keys.pendingAuthorization(id),
  'single use': (keys, id) => keys.singleUse('jti', id),
  'ended session': (keys, id) => keys.endedSession(id),
  stream: (keys, id) => keys.streamEvents(id),
  'task of a caller': (keys, id) => keys.callTask({ callerHash: 'caller', idHash: id }),
  'tasks of a caller': (keys, id) => keys.callTasksOf(id),
}

/** What decides the hash slot. */
const slotOf = (key: string) => /\{(.+?)\}/.exec(key)?.[1]

describe('keys of Redis', () => {
  it.each(Object.entries(named))('R169: nothing can break out of the key of a %s', (_, nameKey) => {
    const keys = createKeys('default')
    const names = hostile.map(id => nameKey(keys, id))
    if (nameKey !== named.revocations) expect(new Set(names).size).toBe(hostile.length)
    for (const name of names) {
      expect(name).toMatch(/^sallyport:\{default:[\w:-]+\}(:[\w-]+)*$/)
      expect(name.length).toBeLessThan(150)
    }
  })

  it.each(hostile.filter(tenant => tenant !== '__proto__'))(
    'R169: tenant %j has keys that no other tenant has',
    tenant => {
      const name = createKeys(tenant).grant('family')
      expect(name).toMatch(/^sallyport:\{~[\w-]{43}:grants:[\w-]\}:grant:[\w-]{43}$/)
      for (const other of [...hostile, 'default'].filter(other => other !== tenant)) {
        expect(createKeys(other).grant('family')).not.toBe(name)
      }
      expect(createKeys(tenant).revocationChannel()).toMatch(/^sallyport:~[\w-]{43}:revocations$/)
    },
  )

  it('R169: a tenant cannot be named like the hash of another', () => {
    const hashed = /\{(.+?):/.exec(createKeys('a:b').check())![1]!
    expect(createKeys(hashed).check()).not.toBe(createKeys('a:b').check())
  })

  it('the keys of one step share a hash slot', () => {
    const keys = createKeys('default')
    for (const id of hostile) {
      const slot = slotOf(keys.grant(id))
      expect(slotOf(keys.grantOperation(id, 'operation'))).toBe(slot)
      expect(slotOf(keys.revocations(id))).toBe(slot)
      expect(keys.allRevocations()).toContain(keys.revocations(id))
    }
    const caller = slotOf(keys.callTasksOf('caller'))
    expect(slotOf(keys.callTask({ callerHash: 'caller', idHash: 'id' }))).toBe(caller)
    const pending = slotOf(keys.pendingAuthorization('a'))
    expect(slotOf(keys.openAuthorizations())).toBe(pending)
    expect(slotOf(keys.pendingOperation('operation'))).toBe(pending)
  })

  it('token families are spread over 64 hash slots', () => {
    const keys = createKeys('default')
    const slots = new Set(Array.from({ length: 2_000 }, (_, i) => slotOf(keys.grant(`family-${i}`))))
    expect(slots.size).toBe(64)
    expect(new Set(keys.allRevocations().map(slotOf))).toEqual(slots)
  })
})
