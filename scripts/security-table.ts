import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { areas, type RequirementArea, untested } from './requirements.ts'

/** A test that names requirements, by its title. */
export interface NamedTest {
  /** Path from the root of the repository. */
  file: string
  title: string
  requirements: readonly number[]
}

const start = '<!-- made by scripts/security-table.ts from the titles of the tests: do not edit -->'
const end = '<!-- end of what scripts/security-table.ts made -->'

/** Where tests are: test files, and the contract that every store is put through. */
const testFiles = [
  'packages/*/src/**/*.test.ts',
  'packages/*/src/**/*-contract.ts',
  'test/*/**/*.test.ts',
  'examples/*/**/*.test.ts',
  'scripts/*.test.ts',
]

/** A string that begins with requirements: the title of a test, of a group, or of a row in a table of cases. */
const titled = /(['"`])(R\d+(?:(?:, ?|[-–])R\d+)*): ((?:\\.|(?!\1)[^\\\n])+)\1/g

const maxTitleLength = 90

/** Every test whose title begins with `R` and a number, in the order of files and lines. */
export function findNamedTests(root: string): NamedTest[] {
  return globSync(testFiles, { cwd: root, exclude: name => name.includes('node_modules') })
    .toSorted()
    .flatMap(file => readTitles(file, readFileSync(join(root, file), 'utf8')))
}

/** The tests of one file. `R1-R3` and `R1–R3` stand for all between. */
export function readTitles(file: string, source: string): NamedTest[] {
  return [...source.matchAll(titled)].map(([, , numbers, title]) => ({
    file,
    title: title!.replace(/\\(.)/g, '$1'),
    requirements: numbers!.split(/, ?/).flatMap(part => {
      const [from, to = from] = part.split(/[-–]/).map(name => Number(name.slice(1)))
      return Array.from({ length: to! - from! + 1 }, (_, index) => from! + index)
    }),
  }))
}

/**
 * Puts the table of requirements and their tests between the two comments of the page.
 *
 * @param reasons why a requirement has no test
 * @throws {Error} when the page has no such comments, a requirement has neither test nor reason, or has both
 */
export function fillSecurityTable(
  page: string,
  tests: readonly NamedTest[],
  reasons: Readonly<Record<number, string>> = untested,
): string {
  const [from, to] = [page.indexOf(start), page.indexOf(end)]
  if (from === -1 || to < from) throw new Error('the page has no place for the table of requirements')
  const testsOf = (requirement: number) => tests.filter(test => test.requirements.includes(requirement))
  const all = areas.flatMap(area => numbersOf(area))
  const complain = (numbers: readonly number[], what: string) => {
    if (numbers.length > 0) throw new Error(`${numbers.map(number => `R${number}`).join(', ')} ${what}`)
  }
  complain(
    all.filter(number => testsOf(number).length === 0 && !(number in reasons)),
    'have no test: write one, or the reason into scripts/requirements.ts',
  )
  complain(
    all.filter(number => testsOf(number).length > 0 && number in reasons),
    'have tests now: take their reasons out of scripts/requirements.ts',
  )
  complain(
    [...new Set(tests.flatMap(test => test.requirements))].filter(number => !all.includes(number)),
    'are no requirements: correct the titles of their tests',
  )
  const proven = all.filter(number => testsOf(number).length > 0)
  const table = [
    start,
    `${proven.length} of ${all.length} requirements have tests. After a change to the title of a test, run`,
    '`node scripts/security-table.ts`.',
    '',
    ...areas.map(area => renderArea(area, testsOf)),
    '### Without a test',
    '',
    '| Requirement | Why |',
    '|---|---|',
    ...areas.flatMap(area =>
      numbersOf(area)
        .filter(number => number in reasons)
        .map(number => `| R${number} ${area.names[number - area.from]} | ${reasons[number]} |`),
    ),
    '',
  ]
  return page.slice(0, from) + table.join('\n') + page.slice(to)
}

const numbersOf = ({ from, names }: RequirementArea): number[] => names.map((_, index) => from + index)

function renderArea(area: RequirementArea, testsOf: (requirement: number) => readonly NamedTest[]): string {
  const numbers = numbersOf(area)
  const proven = numbers.filter(number => testsOf(number).length > 0)
  const heading = `${area.title}: R${numbers[0]}–R${numbers.at(-1)}, ${proven.length} of ${numbers.length} tested`
  return [
    `<details><summary>${heading}</summary>`,
    '',
    '| Requirement | Tests |',
    '|---|---|',
    ...proven.map(
      number => `| R${number} ${area.names[number - area.from]} | ${renderTests(testsOf(number))} |`,
    ),
    '',
    '</details>',
    '',
  ].join('\n')
}

function renderTests(tests: readonly NamedTest[]): string {
  return [...new Set(tests.map(({ file }) => file))]
    .map(file => {
      const inFile = tests.filter(test => test.file === file)
      const titles = [...new Set(inFile.map(({ title }) => shorten(title)))]
      return `[${basename(file, '.ts').replace(/\.test$/, '')}](../${file}): ${titles.join(' · ')}`
    })
    .join('<br>')
}

/** A title as text of a table: placeholders of tables of cases become an ellipsis. */
function shorten(title: string): string {
  const plain = title.replace(/\$\{[^}]*\}|%[sdijo#]|\$[a-z][\w.]*/gi, '…')
  const short = plain.length <= maxTitleLength ? plain : `${plain.slice(0, maxTitleLength).trimEnd()}…`
  return short.replace(/[\\|*_`[\]]/g, '\\$&').replaceAll('<', '&lt;')
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname, '..')
  const path = join(root, 'docs/security.md')
  writeFileSync(path, fillSecurityTable(readFileSync(path, 'utf8'), findNamedTests(root)))
}
