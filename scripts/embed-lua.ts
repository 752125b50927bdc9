import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

/** A file that `embedLua` writes. */
export interface EmbeddedScripts {
  /** Path of the generated file, from the root of the repository. */
  path: string
  content: string
}

const scriptName = /^([a-z]+(?:-[a-z]+)+)-(\d+)\.lua$/

/**
 * Puts the Lua scripts of every package into one TypeScript file per folder, `lua.generated.ts` beside `lua/`:
 * the published package then needs no file but JavaScript. `-- include: name` is replaced by `include/name.lua`.
 *
 * @throws {Error} when a script's name does not end in its number of keys, or it includes what does not exist
 */
export function embedLua(root: string): EmbeddedScripts[] {
  const folders = new Set(globSync('packages/*/src/**/lua/*.lua', { cwd: root }).map(file => dirname(file)))
  return [...folders].sort().map(folder => {
    const scripts = globSync('*.lua', { cwd: join(root, folder) })
      .sort()
      .map(file => embedScript(join(root, folder), file))
    return {
      path: join(dirname(folder), 'lua.generated.ts'),
      content: `${[
        '// Made by scripts/embed-lua.ts from lua/: edit those files, then run "node scripts/embed-lua.ts".',
        '',
        '/** A Lua script: how many of its arguments are keys, and the SHA-1 that Redis knows it by. */',
        'export interface Script { readonly name: string; readonly keys: number; readonly sha1: string; readonly lua: string }',
        '',
        'export const scripts = {',
        ...scripts,
        '} as const satisfies Record<string, Script>',
      ].join('\n')}\n`,
    }
  })
}

function embedScript(folder: string, file: string): string {
  const [, name, keys] = scriptName.exec(basename(file)) ?? []
  if (!name) throw new Error(`${file} must be named verb-noun-<number of keys>.lua`)
  const lua = readFileSync(join(folder, file), 'utf8').replace(/^-- include: (.+)$/gm, (_, part: string) => {
    const path = join(folder, 'include', `${part}.lua`)
    if (!existsSync(path)) throw new Error(`${file} includes ${part}, which is not in include/`)
    return readFileSync(path, 'utf8').trimEnd()
  })
  const sha1 = createHash('sha1').update(lua).digest('hex')
  const property = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
  return `  ${property}: { name: '${name}', keys: ${keys}, sha1: '${sha1}', lua: ${JSON.stringify(lua)} },`
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname, '..')
  for (const { path, content } of embedLua(root)) writeFileSync(join(root, path), content)
}
