import { globSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

/** Where one package or folder may import from. What is not listed may import nothing of the list. */
const packagesToTheLeft: Record<string, readonly string[]> = {
  oauth: [],
  'mcp-server': ['@sallyport/oauth'],
  providers: ['@sallyport/oauth', '@sallyport/mcp-server'],
}

/** The staircase inside `oauth`: a folder imports itself and folders below it. */
const stairs = ['endpoints', 'grants', 'clients', 'tokens', 'keys', 'storage', 'protocol']

const importsOf = (file: string) =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/^(?:import|export)\s[^'"]*?from '([^']+)'/gms)].map(
    match => match[1]!,
  )

const sources = (pattern: string) =>
  globSync(pattern, { cwd: root }).filter(file => !/\.test\.ts$|\.generated\.ts$|-contract\.ts$/.test(file))

describe('arrows between parts', () => {
  it.each(Object.keys(packagesToTheLeft))('package %s imports only packages to its left', name => {
    const files = sources(`packages/${name}/src/**/*.ts`)
    expect(files.length).toBeGreaterThan(0)
    const foreign = files.flatMap(file =>
      importsOf(file)
        .filter(
          path =>
            path.startsWith('@sallyport/') && !packagesToTheLeft[name]!.some(left => path.startsWith(left)),
        )
        .map(path => `${file} → ${path}`),
    )
    expect(foreign).toEqual([])
  })

  it('inside oauth a request walks down the stairs and never back up', () => {
    const base = join(root, 'packages/oauth/src')
    const upward = stairs.flatMap((folder, step) =>
      sources(`packages/oauth/src/${folder}/**/*.ts`).flatMap(file =>
        importsOf(file)
          .filter(path => path.startsWith('.'))
          .map(path => relative(base, resolve(root, file, '..', path)))
          .filter(target => stairs.slice(0, step).includes(target.split('/')[0]!))
          .map(target => `${file} → ${target}`),
      ),
    )
    expect(upward).toEqual([])
  })
})
