import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { it } from 'vitest'
import { expectNothingLeftOfFlows } from './many-flows.fixture.ts'
import { createFileStore } from './storage/file-store.ts'
import { createMemoryStore } from './storage/memory-store.ts'

it('R170: memory store: of 1000 flows nothing is left once they have ended', async () => {
  const store = createMemoryStore()
  const close = () => store.close()
  await expectNothingLeftOfFlows({ store, countRecords: async () => store.size, close }, 1_000)
}, 60_000)

it('R170: file store: of 100 flows nothing is left once they have ended', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-flows-'))
  const store = createFileStore({ directory })
  const database = new DatabaseSync(join(directory, 'store.sqlite'))
  const countRecords = async () =>
    Number(database.prepare('SELECT count(*) AS count FROM records').get()?.count)
  await expectNothingLeftOfFlows({ store, countRecords, close: () => store.close() }, 100)
  database.close()
  await store.close()
  rmSync(directory, { recursive: true })
}, 60_000)
