import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { initCommand } from './init-command.ts'

const own = fileURLToPath(new URL('..', import.meta.url))
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-init-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** What `npm install` would bring: this package as it is here, and what it has itself. */
function install(project: string): void {
  for (const [name, path] of [
    ['@sallyport/mcp-server', own],
    ['@modelcontextprotocol/client', join(own, 'node_modules/@modelcontextprotocol/client')],
    ['zod', join(own, 'node_modules/zod')],
    ['@types/node', join(own, '../../node_modules/@types/node')],
  ] as const) {
    const target = join(project, 'node_modules', name)
    mkdirSync(dirname(target), { recursive: true })
    symlinkSync(path, target)
  }
}

describe('sallyport init', () => {
  it('makes a server that starts, and whose tests pass', async () => {
    const lines: string[] = []
    const project = join(folder, 'notebook')
    await initCommand(project, line => lines.push(line))
    expect(lines).toEqual([`Made ${project}. Next:`, `  cd ${project}`, '  npm install', '  npm start'])
    expect(readFileSync(join(project, '.gitignore'), 'utf8')).toContain('.sallyport/')
    expect(readFileSync(join(project, 'README.md'), 'utf8')).toMatch(/^# notebook$/m)
    install(project)
    const tests = spawnSync(process.execPath, ['--conditions=sallyport-source', '--test'], {
      cwd: project,
      encoding: 'utf8',
      // vitest's own would have node take itself for a worker of it.
      env: { PATH: process.env.PATH },
    })
    expect(tests.stdout).toMatch(/pass 2\b/)
    expect(tests.status).toBe(0)

    const program = `import { server } from './server.ts'
await server.start({ silent: true })
const { result } = await (await fetch(server.url, {
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'greet', arguments: { name: 'Ada' } } }),
})).json()
console.log(result.content[0].text)
await server.close()`
    writeFileSync(join(project, 'check.ts'), program)
    const answer = execFileSync(process.execPath, ['--conditions=sallyport-source', 'check.ts'], {
      cwd: project,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { PATH: process.env.PATH, PORT: '0' },
    })
    expect(answer).toBe('Hello, Ada!\n')
    expect(existsSync(join(project, '.sallyport/secret'))).toBe(true)
  }, 120_000)

  it('names what the server needs, in the versions this package was made for', async () => {
    await initCommand(join(folder, 'notebook'), () => {})
    const manifest = JSON.parse(readFileSync(join(folder, 'notebook/package.json'), 'utf8'))
    const { version, peerDependencies, dependencies } = createRequire(import.meta.url)('../package.json')
    expect(manifest).toMatchObject({
      name: 'notebook',
      private: true,
      type: 'module',
      dependencies: {
        '@sallyport/mcp-server': `^${version}`,
        '@sallyport/providers': `^${version}`,
        hono: peerDependencies.hono,
        zod: dependencies.zod,
        '@modelcontextprotocol/server': peerDependencies['@modelcontextprotocol/server'],
      },
      devDependencies: { '@modelcontextprotocol/client': peerDependencies['@modelcontextprotocol/client'] },
    })
  })

  it.each([
    ['no name', undefined, /^Say where/],
    ['a name that no package can have', 'My Server', /must be 1 to 63 of a-z/],
    ['a folder that has something in it', 'taken', /is there already/],
    ['a file', 'taken/mine', /taken\/mine is a file: choose another name, or another folder\.$/],
    ['a folder in a file', 'taken/mine/notebook', /taken\/mine is a file: choose another name/],
    ['a folder in a folder in a file', 'taken/mine/a/notebook', /taken\/mine is a file: choose another name/],
    [
      'a name longer than a path can be',
      `${'x'.repeat(300)}/notebook`,
      /cannot be made or read \(ENAMETOOLONG\)/,
    ],
  ])('%s is refused, and nothing is written', async (_, name, message) => {
    mkdirSync(join(folder, 'taken'))
    writeFileSync(join(folder, 'taken/mine'), 'mine')
    await expect(initCommand(name && join(folder, name), () => {})).rejects.toThrow(message)
    expect(existsSync(join(folder, 'My Server'))).toBe(false)
    expect(existsSync(join(folder, 'taken/server.ts'))).toBe(false)
  })
})
