import { beforeEach, describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../errors.ts'
import { systemRandom } from '../runtime.ts'
import { createMemoryStore, type MemoryStore } from '../storage/memory-store.ts'
import type { Connection } from '../storage/records.ts'
import { type RekeyOptions, rekey } from './rekey.ts'
import { connectionSealContext, revocationSealContext } from './seal-context.ts'
import { createSealer } from './sealer.ts'
import { createSecretRing } from './secret-ring.ts'
import { createSigningKeys } from './signing-keys.ts'

const now = 1_900_000_000
const clock = () => now
const older = 'an older secret, long enough to be one'
const newer = 'a newer secret, long enough to be one!'
const lost = 'a secret that has left the ring already'
const sealerOf = (...secrets: string[]) => createSealer(createSecretRing(secrets), systemRandom)
const rotated = sealerOf(newer, older)
const none = { resealed: 0, current: 0, unreadable: 0 }

let store: MemoryStore
beforeEach(() => {
  store = createMemoryStore({ tenant: 'sandbox' })
})

const nameOf = (userId: string, provider = 'google') => ({ userId, provider, account: 'default' })
const put = async (userId: string, sealer = sealerOf(older), over: Partial<Connection> = {}) => {
  const name = { ...nameOf(userId), ...over }
  const record = {
    version: 1 as const,
    ...name,
    writtenBy: 'test',
    state: 'active' as const,
    scopes: ['calendar'],
    sealed: sealer.seal(`tokens of ${name.userId}`, connectionSealContext('sandbox', name)),
    accessEndsAt: now + 3600,
    updatedAt: now - 100,
    expiresAt: now + 86_400,
    ...over,
  }
  await store.putConnection({ record, now })
  return record
}
const find = (userId: string) => store.findConnection({ ...nameOf(userId), now })
const open = async (userId: string, ...secrets: string[]) =>
  sealerOf(...secrets).open(
    (await find(userId))?.sealed ?? '',
    connectionSealContext('sandbox', nameOf(userId)),
  )
const run = (over: Partial<RekeyOptions> = {}) => rekey({ store, sealer: rotated, clock, ...over })

describe('rekey', () => {
  it('R178: afterwards everything opens without the older secret, and nothing else has changed', async () => {
    const before = await put('a')
    await put('b', rotated)
    await put('dead', sealerOf(older), { state: 'dead' })
    await createSigningKeys({ store, sealer: sealerOf(older), algorithm: 'ES256', clock }).active()
    const [key] = await store.listSigningKeys({ now })

    expect(await run()).toEqual({
      connections: { resealed: 2, current: 1, unreadable: 0 },
      signingKeys: { resealed: 1, current: 0, unreadable: 0 },
      revocations: none,
    })
    for (const user of ['a', 'b', 'dead']) {
      expect(await open(user, newer)).toEqual({ plaintext: `tokens of ${user}`, stale: false })
    }
    const after = (await find('a'))!
    expect(after).toEqual({ ...before, generation: 2, sealed: after.sealed, writtenBy: after.writtenBy })
    expect(after.writtenBy).not.toBe(before.writtenBy)
    const [again] = await store.listSigningKeys({ now })
    expect(again).toEqual({ ...key, sealed: again!.sealed })
    const keys = createSigningKeys({ store, sealer: sealerOf(newer), algorithm: 'ES256', clock })
    expect((await keys.active()).kid).toBe(key!.kid)
  })

  it('R178: done again, it finds nothing to do', async () => {
    await put('a')
    await run()
    expect(await run()).toEqual({
      connections: { resealed: 0, current: 1, unreadable: 0 },
      signingKeys: none,
      revocations: none,
    })
    expect((await find('a'))?.generation).toBe(2)
  })

  it.each([1, 2, 100])('R178: in pages of %i it finds them all, and counts each once', async pageSize => {
    for (let i = 0; i < 7; i++) await put(`user-${i}`)
    const repeating = {
      ...store,
      listAllConnections: async (step: Parameters<MemoryStore['listAllConnections']>[0]) => {
        const page = await store.listAllConnections(step)
        return { ...page, connections: [...page.connections, ...page.connections] }
      },
    }
    expect((await run({ store: repeating, pageSize })).connections).toEqual({ ...none, resealed: 7 })
  })

  it('R178: a value whose secret is gone is counted, left as it is, and stops nothing', async () => {
    const before = await put('a', sealerOf(lost))
    await put('b')
    expect((await run()).connections).toEqual({ resealed: 1, current: 0, unreadable: 1 })
    expect(await find('a')).toEqual({ ...before, generation: 1 })
  })

  it('R179: a value that was moved to another user is not sealed for that user', async () => {
    const { sealed } = await put('a')
    await put('b', sealerOf(older), { sealed })
    expect((await run()).connections).toEqual({ resealed: 1, current: 0, unreadable: 1 })
    expect((await find('b'))?.sealed).toBe(sealed)
  })

  it('R180: tokens that a server writes meanwhile are kept', async () => {
    await put('a')
    let rounds = 0
    const busy = {
      ...store,
      replaceConnection: async (step: Parameters<MemoryStore['replaceConnection']>[0]) => {
        if (rounds++ < 2) await put('a', sealerOf(older), { accessEndsAt: now + 7200 })
        return store.replaceConnection(step)
      },
    }
    expect((await run({ store: busy })).connections).toEqual({ ...none, resealed: 1 })
    expect(rounds).toBe(3)
    expect(await open('a', newer)).toEqual({ plaintext: 'tokens of a', stale: false })
    expect(await find('a')).toMatchObject({ generation: 4, accessEndsAt: now + 7200 })
  })

  it('R178: tokens that wait to be revoked open by the newest secret, also while a process is at them', async () => {
    const queue = { kind: 'revocation', provider: 'google' } as const
    const ends = { dueAt: now, expiresAt: now + 86_400, attempts: 0 }
    const putRevocation = async (id: string, sealer: ReturnType<typeof sealerOf>) => {
      const name = { ...queue, id, userId: 'user', account: 'default' }
      const sealed = sealer.seal(`tokens of ${id}`, revocationSealContext('sandbox', name))
      const record = { version: 1 as const, ...name, ...ends, writtenBy: id, sealed }
      await store.putTask({ record, replaces: false, now })
    }
    for (const id of ['a', 'b', 'c']) await putRevocation(id, sealerOf(older))
    await putRevocation('lost', sealerOf(lost))
    let claims = 0
    const busy = {
      ...store,
      replaceTask: async (step: Parameters<MemoryStore['replaceTask']>[0]) => {
        const claim = { ...queue, owner: `owner-${claims}`, limit: 1, until: now + 60, now }
        if (claims++ === 0) await store.claimTasks(claim)
        return store.replaceTask(step)
      },
    }
    expect((await run({ store: busy, pageSize: 2 })).revocations).toEqual({
      resealed: 3,
      current: 0,
      unreadable: 1,
    })
    const { tasks } = await store.listTasks({ kind: 'revocation', cursor: undefined, limit: 10, now })
    const opened = tasks.map(task =>
      sealerOf(newer).open(task.sealed ?? '', revocationSealContext('sandbox', task)),
    )
    expect(opened.map(each => each?.plaintext)).toEqual([
      'tokens of a',
      'tokens of b',
      'tokens of c',
      undefined,
    ])
    expect(claims).toBe(4)
  })

  it('a connection that the user ends meanwhile does not come back', async () => {
    await put('a')
    const ending = {
      ...store,
      replaceConnection: async (step: Parameters<MemoryStore['replaceConnection']>[0]) => {
        await store.deleteConnection({ ...nameOf('a'), now })
        return store.replaceConnection(step)
      },
    }
    expect((await run({ store: ending })).connections).toEqual(none)
    expect(await find('a')).toBeUndefined()
  })

  it('a record that never stops changing is not taken for done', async () => {
    await put('a')
    const restless = { ...store, replaceConnection: async () => 'stale' as const }
    await expect(run({ store: restless })).rejects.toThrow(StoreUnavailableError)
  })

  it('R92: when the store goes away, it says so, and goes on the next time', async () => {
    await put('a')
    await put('b')
    let writes = 0
    const failing = {
      ...store,
      replaceConnection: (step: Parameters<MemoryStore['replaceConnection']>[0]) =>
        writes++ === 1 ? Promise.reject(new StoreUnavailableError('away')) : store.replaceConnection(step),
    }
    await expect(run({ store: failing })).rejects.toThrow(StoreUnavailableError)
    expect((await run()).connections).toEqual({ resealed: 1, current: 1, unreadable: 0 })
  })
})
