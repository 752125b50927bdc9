import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { describeRevocationAcrossProcesses } from './revocation.fixture.ts'

const directory = mkdtempSync(join(tmpdir(), 'sallyport-revocation-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describeRevocationAcrossProcesses('file store', () => ({ SALLYPORT_DIR: directory }))
