import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createFileStore } from './storage/file-store.ts'
import { describeSwappedSeals } from './swapped-seals.fixture.ts'

describeSwappedSeals('SQLite', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-swapped-'))
  const store = createFileStore({ directory })
  const database = new DatabaseSync(join(directory, 'store.sqlite'))
  return {
    store,
    async find(kind) {
      const rows = database.prepare('SELECT sequence, value FROM records WHERE kind = ?').all(kind)
      const update = database.prepare('UPDATE records SET value = ? WHERE sequence = ?')
      return rows.map(({ sequence, value }) => ({
        text: String(value),
        write: async text => void update.run(text, sequence!),
      }))
    },
    async close() {
      database.close()
      await store.close()
      rmSync(directory, { recursive: true })
    },
  }
})
