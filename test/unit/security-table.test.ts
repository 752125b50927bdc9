import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { areas } from '../../scripts/requirements.ts'
import { fillSecurityTable, findNamedTests, readTitles } from '../../scripts/security-table.ts'

const root = resolve(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/security.md'), 'utf8')
const tests = findNamedTests(root)
const all = areas.flatMap(({ from, names }) => names.map((_, index) => from + index))

describe('docs/security.md', () => {
  it('says which test proves which requirement, as the tests are now (node scripts/security-table.ts)', () => {
    expect(page).toBe(fillSecurityTable(page, tests))
  })

  it('leaves no requirement out', () => {
    expect(all).toEqual(Array.from({ length: 202 }, (_, index) => index + 1))
    expect(all.filter(number => !new RegExp(`^\\| R${number} `, 'm').test(page))).toEqual([])
  })

  it('counts the contract of the stores as tests', () => {
    expect(tests.some(({ file }) => file.includes('store-contract/'))).toBe(true)
  })
})

describe('fillSecurityTable', () => {
  const test = (requirement: number) => ({ file: 'a.test.ts', title: 'holds', requirements: [requirement] })
  const every = all.map(test)

  it.each([
    ['nothing proves a requirement', every.slice(1), {}, 'R1 have no test'],
    ['a reason has outlived its test', every, { 5: 'later' }, 'R5 have tests now'],
    ['a test names what is no requirement', [...every, test(203)], {}, 'R203 are no requirements'],
  ])('complains when %s', (_, named, reasons, message) => {
    expect(() => fillSecurityTable(page, named, reasons)).toThrow(message)
  })

  it('lists what has a reason instead of a test', () => {
    expect(fillSecurityTable(page, every.slice(1), { 1: 'not yet' })).toContain('clients look | not yet |')
  })
})

// Not written out: a title in this file would be taken for a test.
const R = 'R'

it.each([
  [`it('${R}7: says so', …)`, 'says so', [7]],
  [`it.each(cases)('${R}8, R10–R12: says %s', …)`, 'says %s', [8, 10, 11, 12]],
  [`  ['${R}1-R3: it\\'s one', 1],`, "it's one", [1, 2, 3]],
])('the title in %j is read', (source, title, requirements) => {
  expect(readTitles('x.test.ts', source)).toEqual([{ file: 'x.test.ts', title, requirements }])
})

it('a mere mention of a requirement proves nothing', () => {
  const source = `// ${R}7: why\nit('says ${R}7: so', …)\nit('as ${R}7 wants', …)\nit('${R}7 is kept', …)`
  expect(readTitles('x.test.ts', source)).toEqual([])
})
