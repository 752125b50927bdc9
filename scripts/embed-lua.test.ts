import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { embedLua } from './embed-lua.ts'

const root = resolve(import.meta.dirname, '..')

describe('embedded Lua', () => {
  const embedded = embedLua(root)

  it('is what lies in the lua folders', () => {
    expect(embedded.length).toBeGreaterThan(0)
    for (const { path, content } of embedded) {
      expect(readFileSync(join(root, path), 'utf8') === content, `${path}: run scripts/embed-lua.ts`).toBe(
        true,
      )
    }
  })

  it('R165: every script looks at its deadline before it touches a key', () => {
    for (const { content } of embedded) {
      const scripts = [...content.matchAll(/lua: (".*") \},$/gm)].map(
        match => JSON.parse(match[1]!) as string,
      )
      expect(scripts.length).toBeGreaterThan(0)
      for (const script of scripts) {
        const [first] = script
          .split('\n')
          .filter(line => /^\S/.test(line) && !/^(--|local function|end$|local now)/.test(line))
        expect(first, script.slice(0, 60)).toBe("if is_late() then return { 'late' } end")
      }
    }
  })
})

describe('embedding', () => {
  let folder: string
  let lua: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-lua-'))
    lua = join(folder, 'packages/a/src/storage/lua')
    mkdirSync(join(lua, 'include'), { recursive: true })
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('replaces an include by its text', () => {
    writeFileSync(join(lua, 'include/step.lua'), 'local now = 1\n')
    writeFileSync(join(lua, 'get-one-2.lua'), '-- include: step\nreturn now\n')
    const [file] = embedLua(folder)
    expect(file?.path).toBe('packages/a/src/storage/lua.generated.ts')
    expect(file?.content).toContain(String.raw`lua: "local now = 1\nreturn now\n"`)
    expect(file?.content).toContain("getOne: { name: 'get-one', keys: 2,")
  })

  it.each([
    ['a name without the number of keys', 'get-one.lua', 'return 1'],
    ['an include that is not there', 'get-one-1.lua', '-- include: nothing\n'],
  ])('refuses %s', (_, file, text) => {
    writeFileSync(join(lua, file), text)
    expect(() => embedLua(folder)).toThrow(file)
  })
})
