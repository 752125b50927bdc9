import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import type { SallyportEvent } from '../events.ts'
import { createFileStore } from './file-store.ts'
import type { Store } from './store.ts'
import { aGrant, now, redeem, revoke } from './store-contract/samples.ts'
import { describeStoreContract } from './store-contract.ts'

const newFolder = () => mkdtempSync(join(tmpdir(), 'sallyport-store-'))

describeStoreContract('file store', async () => {
  const directory = newFolder()
  let store = createFileStore({ directory })
  const database = new DatabaseSync(join(directory, 'store.sqlite'))
  return {
    store,
    async reopen() {
      await store.close()
      store = createFileStore({ directory })
      return store
    },
    countRecords: async () => Number(database.prepare('SELECT count(*) AS count FROM records').get()?.count),
    async close() {
      await store.close()
      database.close()
      rmSync(directory, { recursive: true })
    },
  }
})

const grant = aGrant()

describe('file store', () => {
  let directory: string
  let opened: Store[]
  const open = (options: Partial<Parameters<typeof createFileStore>[0]> = {}) => {
    const store = createFileStore({ directory, ...options })
    opened.push(store)
    return store
  }
  const poison = (sql: string, ...values: (string | number)[]) => {
    const database = new DatabaseSync(join(directory, 'store.sqlite'))
    database.prepare(sql).run(...values)
    database.close()
  }
  beforeEach(() => {
    directory = newFolder()
    opened = []
  })
  afterEach(async () => {
    vi.useRealTimers()
    for (const store of opened) await store.close()
    rmSync(directory, { recursive: true, force: true })
  })

  describe('on disk', () => {
    it('R162: no other user of the machine can read the folder or any of its files', async () => {
      directory = join(directory, 'a', 'b')
      const umask = process.umask(0)
      try {
        await open().putGrant({ record: grant, now })
      } finally {
        process.umask(umask)
      }
      expect(statSync(directory).mode & 0o777).toBe(0o700)
      for (const file of ['store.sqlite', 'store.sqlite-wal', 'store.sqlite-shm']) {
        expect(statSync(join(directory, file)).mode & 0o777, file).toBe(0o600)
      }
    })

    it('narrows a folder and a file that were open to others', async () => {
      await open().close()
      chmodSync(directory, 0o755)
      chmodSync(join(directory, 'store.sqlite'), 0o644)
      open()
      expect(statSync(directory).mode & 0o777).toBe(0o700)
      expect(statSync(join(directory, 'store.sqlite')).mode & 0o777).toBe(0o600)
    })

    it.each<[string, (folder: string) => string]>([
      [
        'a folder that cannot be made',
        folder => {
          writeFileSync(join(folder, 'file'), '')
          return join(folder, 'file', 'store')
        },
      ],
      [
        'a file',
        folder => {
          writeFileSync(join(folder, 'file'), '')
          return join(folder, 'file')
        },
      ],
      [
        'a folder whose store is no file',
        folder => {
          mkdirSync(join(folder, 'store.sqlite'))
          return folder
        },
      ],
      [
        'a folder of other programs, open to other users',
        folder => {
          writeFileSync(join(folder, 'thesis.txt'), '')
          chmodSync(folder, 0o755)
          return folder
        },
      ],
      [
        'a store that is no database',
        folder => {
          writeFileSync(
            join(folder, 'store.sqlite'),
            'not a database, but long enough to look like one'.repeat(100),
          )
          return folder
        },
      ],
      [
        'the database of another program',
        folder => {
          const database = new DatabaseSync(join(folder, 'store.sqlite'))
          database.exec('CREATE TABLE theirs (id)')
          database.close()
          return folder
        },
      ],
      [
        'the store of a newer version',
        folder => {
          const database = new DatabaseSync(join(folder, 'store.sqlite'))
          database.exec(`PRAGMA application_id = ${0x53414c59}; PRAGMA user_version = 2`)
          database.close()
          return folder
        },
      ],
    ])('%s is refused in one sentence that names SALLYPORT_DIR', (_, prepare) => {
      const folder = prepare(directory)
      let message = ''
      try {
        createFileStore({ directory: folder })
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigurationError)
        message = (error as Error).message
      }
      expect(message).toMatch(/^SALLYPORT_DIR \(.*\) .*: [^.]*\.$/)
      expect(message).toContain(folder)
    })

    it('leaves a folder of other programs as it was', () => {
      writeFileSync(join(directory, 'thesis.txt'), '')
      chmodSync(directory, 0o755)
      expect(() => createFileStore({ directory })).toThrow(ConfigurationError)
      expect(statSync(directory).mode & 0o777).toBe(0o755)
      expect(existsSync(join(directory, 'store.sqlite'))).toBe(false)
    })

    it('leaves the database of another program as it was', () => {
      const database = new DatabaseSync(join(directory, 'store.sqlite'))
      database.exec('CREATE TABLE theirs (id)')
      expect(() => createFileStore({ directory })).toThrow(ConfigurationError)
      expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'delete' })
      database.close()
    })

    it('goes on with the store of a version that knew no tasks', async () => {
      await open().putGrant({ record: grant, now })
      await opened.at(-1)?.close()
      const database = new DatabaseSync(join(directory, 'store.sqlite'))
      database.exec(`DROP INDEX records_by_due;
        ALTER TABLE records DROP COLUMN queue; ALTER TABLE records DROP COLUMN due_at`)
      database.close()
      const store = open()
      expect(await store.findGrant({ id: 'family', now })).toEqual(grant)
      const queue = { kind: 'refresh', provider: 'google' } as const
      const name = { ...queue, id: 'id', userId: 'user', account: 'default', writtenBy: 'write' }
      const record = { version: 1 as const, ...name, dueAt: now, expiresAt: now + 60, attempts: 0 }
      await store.putTask({ record, replaces: false, now })
      expect(
        await store.claimTasks({ ...queue, owner: 'owner', limit: 1, until: now + 9, now }),
      ).toHaveLength(1)
    })

    it('shares its folder with the secret of a development server', async () => {
      writeFileSync(join(directory, 'secret'), 'x')
      chmodSync(directory, 0o755)
      await open().check()
      expect(statSync(directory).mode & 0o777).toBe(0o700)
    })

    it.each([
      ['text that is no JSON', '{'],
      ['another shape', '{"version":1}'],
      ['a newer version', JSON.stringify({ ...grant, version: 2 })],
      ['a member more', JSON.stringify({ ...grant, admin: true })],
    ])('R172: a record that holds %s is absent, and somebody hears of it', async (_, value) => {
      const events: SallyportEvent[] = []
      const store = open({ onEvent: event => events.push(event) })
      await store.putGrant({ record: grant, now })
      await store.putGrant({ record: { ...grant, id: 'sound' }, now })
      poison('UPDATE records SET value = ? WHERE id = ?', value, 'family')
      expect(await store.findGrant({ id: 'family', now })).toBeUndefined()
      expect(await store.redeemCode(redeem())).toBe('unknown')
      expect((await store.listGrants({ userId: 'user', now })).map(({ id }) => id)).toEqual(['sound'])
      expect(events).toContainEqual({ type: 'record_unreadable', kind: 'grant' })
    })

    it('R172: a spoilt single-use mark still says used', async () => {
      const store = open()
      const claim = { kind: 'jti', idHash: 'id', expiresAt: now + 60, operationId: 'operation', now } as const
      await store.claimSingleUse(claim)
      poison("UPDATE records SET value = '{' WHERE kind = 'single_use'")
      expect(await store.claimSingleUse(claim)).toBe('used')
    })

    it('sandboxes in one folder do not see each other', async () => {
      const [a, b] = [open({ tenant: 'a' }), open({ tenant: 'b' })]
      await a.putGrant({ record: grant, now })
      expect(await b.findGrant({ id: 'family', now })).toBeUndefined()
      await b.putGrant({ record: grant, now })
      await b.revokeGrant(revoke())
      expect((await a.findGrant({ id: 'family', now }))?.revokedAt).toBeUndefined()
      expect(await a.listRevocations({ now })).toEqual([])
    })
  })

  describe('with several processes', () => {
    it('R104: two stores on one folder that rotate at once make one successor', async () => {
      const [a, b] = [open(), open()]
      await a.putGrant({ record: grant, now })
      await a.redeemCode(redeem())
      const outcomes = await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          (i % 2 ? a : b).rotateRefreshToken({
            id: 'family',
            presentedHash: 'refresh-0',
            genuine: true,
            successorHash: `successor-${i}`,
            replay: `reply-${i}`,
            graceSeconds: 10,
            idleEndsAt: now + 86_400,
            accessEndsAt: now + 900,
            operationId: `rotation-${i}`,
            now,
          }),
        ),
      )
      expect(outcomes.filter(({ outcome }) => outcome === 'rotated')).toHaveLength(1)
      expect(outcomes.filter(({ outcome }) => outcome === 'grace')).toHaveLength(39)
      expect(await b.findGrant({ id: 'family', now })).toEqual(await a.findGrant({ id: 'family', now }))
    })

    it('R95: of four processes that open one new store and redeem one code, one succeeds', async () => {
      const script = `
        import { createFileStore } from ${JSON.stringify(new URL('./file-store.ts', import.meta.url).href)}
        const store = createFileStore({ directory: process.argv[1], busyTimeoutMs: 20_000 })
        const outcomes = []
        for (let i = 0; i < 10; i++) {
          await store.putGrant({ record: ${JSON.stringify(grant)}, now: ${now} })
          outcomes.push(await store.redeemCode({
            id: 'family', codeHash: 'code', operationId: process.pid + ':' + i,
            accessEndsAt: ${now + 900}, now: ${now},
          }))
        }
        await store.close()
        console.log(JSON.stringify(outcomes))
      `
      const outcomes = await Promise.all(Array.from({ length: 4 }, () => run(script, directory)))
      expect(outcomes.flat()).toHaveLength(40)
      expect(outcomes.flat().filter(outcome => outcome === 'redeemed')).toHaveLength(1)
    }, 60_000)

    it('R157: a revocation reaches another process with its next look, half a second later at most', async () => {
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
      const [a, b] = [open(), open()]
      for (const id of ['before', 'after']) await a.putGrant({ record: { ...grant, id }, now })
      await a.revokeGrant(revoke({ id: 'before' }))
      const heard: string[] = []
      let synced = 0
      const stop = b.watchRevocations({
        onRevoked: ({ grantId }) => heard.push(grantId),
        onSynced: () => synced++,
      })
      expect(synced).toBe(1)
      await a.revokeGrant(revoke({ id: 'after' }))
      expect(heard).toEqual([])
      vi.advanceTimersByTime(500)
      expect(heard).toEqual(['after'])
      expect(synced).toBe(2)
      stop()
      vi.advanceTimersByTime(5_000)
      expect(synced).toBe(2)
    })

    it('changes reach another process with its next look, and this one at once', async () => {
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
      const [a, b] = [open(), open()]
      const heard: string[] = []
      const hear = (who: string) => ({
        onChange: (sealed: string) => heard.push(`${who} ${sealed}`),
        onGap: () => heard.push(`${who} gap`),
      })
      await a.announceChange({ sealed: 'before', now })
      a.watchChanges(hear('a'))
      const stop = b.watchChanges(hear('b'))
      await a.announceChange({ sealed: 'one', now })
      expect(heard).toEqual(['a one'])
      vi.advanceTimersByTime(500)
      expect(heard).toEqual(['a one', 'b one'])
      stop()
      await b.announceChange({ sealed: 'two', now })
      vi.advanceTimersByTime(5_000)
      expect(heard).toEqual(['a one', 'b one', 'a two'])
    })

    it('a process that could not look for long is told that it may have missed changes', async () => {
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
      const [a, b] = [open(), open()]
      const heard: string[] = []
      b.watchChanges({ onChange: sealed => heard.push(sealed), onGap: () => heard.push('gap') })
      poison('ALTER TABLE records RENAME TO hidden')
      vi.advanceTimersByTime(20_000)
      poison('ALTER TABLE hidden RENAME TO records')
      await a.announceChange({ sealed: 'one', now })
      vi.advanceTimersByTime(500)
      expect(heard, 'nothing ends so soon').toEqual(['one'])
      poison('ALTER TABLE records RENAME TO hidden')
      vi.advanceTimersByTime(40_000)
      poison('ALTER TABLE hidden RENAME TO records')
      vi.advanceTimersByTime(1_000)
      expect(heard).toEqual(['one', 'gap'])
    })

    it('hears of its own revocations once, not again with the next look', async () => {
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
      const store = open({ pollIntervalMs: 50 })
      const heard: string[] = []
      store.watchRevocations({ onRevoked: ({ grantId }) => heard.push(grantId), onSynced: () => {} })
      await store.putGrant({ record: grant, now })
      await store.revokeGrant(revoke())
      vi.advanceTimersByTime(200)
      expect(heard).toEqual(['family'])
    })

    it('R157: a feed that cannot look says nothing, and goes on where it stopped', async () => {
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
      const [a, b] = [open(), open()]
      let synced = 0
      const heard: string[] = []
      b.watchRevocations({ onRevoked: ({ grantId }) => heard.push(grantId), onSynced: () => synced++ })
      poison('ALTER TABLE records RENAME TO hidden')
      vi.advanceTimersByTime(2_000)
      expect(synced).toBe(1)
      poison('ALTER TABLE hidden RENAME TO records')
      await a.putGrant({ record: grant, now })
      await a.revokeGrant(revoke())
      poison("UPDATE records SET value = '{' WHERE kind = 'revocation'")
      await a.putGrant({ record: { ...grant, id: 'second' }, now })
      await a.revokeGrant(revoke({ id: 'second' }))
      vi.advanceTimersByTime(500)
      expect(synced).toBe(2)
      expect(heard, 'R172: a spoilt row does not silence the feed').toEqual(['second'])
    })
  })

  describe('when the disk fails', () => {
    it('R92: a step that cannot be written is told as such, and did nothing', async () => {
      const store = open({ busyTimeoutMs: 0 })
      await store.putGrant({ record: grant, now })
      const other = new DatabaseSync(join(directory, 'store.sqlite'))
      other.exec('BEGIN IMMEDIATE')
      const once = redeem()
      await expect(store.redeemCode(once)).rejects.toThrow(StoreUnavailableError)
      await expect(store.check()).rejects.toThrow(StoreUnavailableError)
      expect(await store.findGrant({ id: 'family', now }), 'reading needs no lock').toEqual(grant)
      other.exec('ROLLBACK')
      other.close()
      expect(await store.redeemCode(once)).toBe('redeemed')
    })

    it('R92: a step that fails half way leaves nothing of itself', async () => {
      const store = open()
      await store.putGrant({ record: grant, now })
      await store.redeemCode(redeem())
      poison(
        `CREATE TRIGGER full BEFORE INSERT ON records WHEN NEW.kind = 'revocation'
         BEGIN SELECT RAISE(ABORT, 'disk full'); END`,
      )
      const once = revoke()
      await expect(store.revokeGrant(once)).rejects.toThrow(StoreUnavailableError)
      expect((await store.findGrant({ id: 'family', now }))?.revokedAt).toBeUndefined()
      poison('DROP TRIGGER full')
      expect(await store.revokeGrant(once)).toBe('revoked')
    })
  })
})

/** Runs a script in a process of its own; what it prints is JSON. */
function run(script: string, ...args: string[]): Promise<string[]> {
  const flags = ['--experimental-strip-types', '--no-warnings', '--input-type=module', '--eval', script]
  const child = spawn(process.execPath, [...flags, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', chunk => {
    output += chunk
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code =>
      code === 0 ? resolve(JSON.parse(output) as string[]) : reject(new Error(`exit code ${code}`)),
    )
  })
}
