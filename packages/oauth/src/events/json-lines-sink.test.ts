import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConfigurationError } from '../errors.ts'
import type { RecordedEvent } from '../events.ts'
import { createJsonLinesSink } from './json-lines-sink.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-audit-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const event = (kid: string): RecordedEvent => ({ type: 'signing_key_created', kid, at: 1_800_000_000 })

describe('createJsonLinesSink', () => {
  it('R191: what was written stays, across restarts and beside another process', () => {
    const path = join(folder, 'audit.jsonl')
    writeFileSync(path, '{"type":"before"}\n')
    chmodSync(path, 0o644)
    const first = createJsonLinesSink(path)
    const second = createJsonLinesSink(path)
    first(event('1'))
    second(event('2'))
    first(event('3'))
    first.close()
    second.close()
    const lines = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(lines).toEqual([{ type: 'before' }, event('1'), event('2'), event('3')])
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('R191: a new file is nobody else’s to read, and each event is in it at once', () => {
    const path = join(folder, 'new.jsonl')
    const sink = createJsonLinesSink(path)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    sink(event('1'))
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(event('1'))
    sink.close()
    sink.close()
    // A late event of a server that has closed goes nowhere, least of all into another file.
    sink(event('2'))
    expect(readFileSync(path, 'utf8')).not.toContain('"2"')
  })

  it('R190: no value can begin a line of its own or speak to a terminal', () => {
    const lines: string[] = []
    const hostile = '\n{"type":"forged"}\r\u001b[31m\u007f\u0085\u009b\u2028\u2029\u202e\u{1f600}"\\'
    createJsonLinesSink({ write: line => lines.push(line) })(event(hostile))
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^[\x20-\x7e]+\n$/)
    expect(JSON.parse(lines[0]!).kid).toBe(hostile)
  })

  it('a file that cannot be opened stops the start, with the variable to set', () => {
    expect(() => createJsonLinesSink(folder)).toThrow(ConfigurationError)
    expect(() => createJsonLinesSink(join(folder, 'missing', 'audit.jsonl'))).toThrow(/SALLYPORT_AUDIT_LOG/)
  })
})
