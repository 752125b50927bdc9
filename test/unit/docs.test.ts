import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { pullExamples } from '../../scripts/docs.ts'

const root = resolve(import.meta.dirname, '../..')
const pages = [
  'README.md',
  ...globSync('docs/*.md', { cwd: root }),
  ...globSync('packages/*/*.md', { cwd: root }),
]
const read = (path: string) => readFileSync(join(root, path), 'utf8')

/** The headings of a page as GitHub addresses them. */
const anchors = (page: string): ReadonlySet<string> =>
  new Set(
    [...page.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(match =>
      match[1]!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )

describe.each(pages)('%s', page => {
  it('shows only code that is compiled and tested: every block is the file or region it names', () => {
    expect(read(page)).toBe(pullExamples(read(page), path => read(path)))
  })

  it('links to files that exist', () => {
    const links = [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(match => match[1]!)
    const broken = links.filter(link => !existsSync(join(root, dirname(page), link)))
    expect(broken).toEqual([])
  })

  it('links to headings that exist', () => {
    const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]*\.md)?#([^)]+)\)/g)]
    const broken = links.filter(([, file, anchor]) => {
      const target = file === undefined ? page : join(dirname(page), file)
      return !anchors(read(target)).has(anchor!)
    })
    expect(broken.map(([link]) => link)).toEqual([])
  })

  it('names only commands of this workspace and of its packages in shell blocks', () => {
    const scripts = JSON.parse(read('package.json')).scripts
    const framework = JSON.parse(read('packages/mcp-server/package.json'))
    const installed = new Set([
      ...['mcp-server', 'providers', 'oauth'].map(name => `@sallyport/${name}`),
      ...Object.keys({ ...framework.dependencies, ...framework.peerDependencies }),
    ])
    const isKnown = (line: string) => {
      const [program, command = '', ...names] = line.split(' ')
      if (program === 'npx') return command === framework.name && names[0] === 'init' && names.length === 2
      if (command === 'install') return names.length > 0 && names.every(name => installed.has(name))
      return /^npm (start|test)$/.test(line) && command in scripts
    }
    const commands = [...read(page).matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(match =>
      match[1]!.trim().split('\n'),
    )
    expect(commands.filter(line => !isKnown(line))).toEqual([])
  })
})

it('the shortest Google tool is a whole program of at most 12 lines, and the README shows it', () => {
  const program = read('examples/google-calendar/server.ts')
  expect(program.trimEnd().split('\n').length).toBeLessThanOrEqual(12)
  expect(read('README.md')).toContain(program)
})
