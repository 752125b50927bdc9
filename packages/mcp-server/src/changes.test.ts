import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { describeChangesAcrossProcesses } from './changes.fixture.ts'

const directory = mkdtempSync(join(tmpdir(), 'sallyport-changes-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describeChangesAcrossProcesses('file store', () => ({ SALLYPORT_DIR: directory }))
