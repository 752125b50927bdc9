import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'

const lock = readFileSync(join(resolve(import.meta.dirname, '../..'), 'pnpm-lock.yaml'), 'utf8')

/** Lowest versions without a published weakness that would reach us (SECURITY annex A). */
const floors = {
  hono: '4.13.7',
  '@hono/node-server': '2.1.8',
  jose: '6.2.10',
  '@modelcontextprotocol/server': '2.4.0',
  '@modelcontextprotocol/sdk': '1.32.0',
}

const numbers = (version: string) => version.split('.').map(Number)

function isAtLeast(version: string, floor: string): boolean {
  const [have, want] = [numbers(version), numbers(floor)]
  const at = have.findIndex((part, index) => part !== want[index])
  return at === -1 || have[at]! > want[at]!
}

it.each(Object.entries(floors))('R202: every locked %s is at least %s', (name, floor) => {
  const escaped = name.replace(/[/.]/g, '\\$&')
  const versions = [...lock.matchAll(new RegExp(`^  '?${escaped}@(\\d+\\.\\d+\\.\\d+)'?:`, 'gm'))].map(
    match => match[1]!,
  )
  expect(versions.length).toBeGreaterThan(0)
  expect(versions.filter(version => !isAtLeast(version, floor))).toEqual([])
})
