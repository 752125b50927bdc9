import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { it } from 'vitest'
import { expectNothingLeftOfFlows, expectUsersNotToGrow } from './many-flows.fixture.ts'
import { createFileStore } from './storage/file-store.ts'
import { createMemoryStore } from './storage/memory-store.ts'
import type { StoreUnderTest } from './storage/store-contract.ts'

/** Where no disk has to confirm fifty thousand steps one by one, when the machine has such a place. */
function quickFolder(): string {
  const inMemory = '/dev/shm'
  if (!existsSync(inMemory)) return tmpdir()
  const { bavail, bsize } = statfsSync(inMemory)
  return bavail * bsize > 2 ** 30 ? inMemory : tmpdir()
}

async function withFileStore(use: (underTest: StoreUnderTest, database: DatabaseSync) => Promise<void>) {
  const directory = mkdtempSync(join(quickFolder(), 'sallyport-flows-'))
  const store = createFileStore({ directory })
  const database = new DatabaseSync(join(directory, 'store.sqlite'))
  const countRecords = async () =>
    Number(database.prepare('SELECT count(*) AS count FROM records').get()?.count)
  try {
    await use({ store, countRecords, close: () => store.close() }, database)
  } finally {
    database.close()
    await store.close()
    rmSync(directory, { recursive: true })
  }
}

it('R170: memory store: of 2000 flows nothing is left once they have ended', async () => {
  const store = createMemoryStore()
  const close = () => store.close()
  await expectNothingLeftOfFlows({ store, countRecords: async () => store.size, close }, 2_000)
}, 120_000)

it('R170: file store: of 10 000 flows nothing is left once they have ended', async () => {
  await withFileStore(underTest => expectNothingLeftOfFlows(underTest, 10_000))
}, 600_000)

it('R170: file store: a user takes no more room however often a client refreshes', async () => {
  await withFileStore(async (underTest, database) => {
    const countBytes = async () => {
      database.exec('VACUUM')
      const { page_count: pages } = database.prepare('PRAGMA page_count').get() as { page_count: number }
      const { page_size: size } = database.prepare('PRAGMA page_size').get() as { page_size: number }
      return pages * size
    }
    await expectUsersNotToGrow('SQLite', underTest, countBytes)
  })
}, 300_000)
