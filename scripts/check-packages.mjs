// Packs every public package and uses the tarballs in an empty project, as someone who installs them would.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { root } from './toolchain.mjs'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-packages-'))
const tarballs = join(folder, 'tarballs')
const project = join(folder, 'project')
mkdirSync(tarballs)
mkdirSync(project)
const run = (command, parameters, cwd) =>
  execFileSync(command, parameters, { cwd, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' })

// npm runs on the Node it belongs to: on another it would not find the machine's own settings, such as its CA file.
const ownPath = process.env.PATH.split(delimiter).filter(entry => !entry.startsWith(join(root, '.toolchain')))
const npmEnvironment = { ...process.env, PATH: ownPath.join(delimiter) }

/** Registries have bad minutes: what counts is that the packages can be installed, not at the first attempt. */
function install() {
  for (let attempt = 1; ; attempt++) {
    try {
      const options = {
        cwd: project,
        env: npmEnvironment,
        stdio: ['ignore', 'ignore', 'inherit'],
        timeout: 120_000,
      }
      execFileSync(
        'npm',
        ['install', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'],
        options,
      )
      return
    } catch (error) {
      if (attempt === 3) throw error
    }
  }
}

try {
  const subpaths = []
  for (const name of readdirSync(join(root, 'packages'))) {
    run('pnpm', ['pack', '--pack-destination', tarballs], join(root, 'packages', name))
    const manifest = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'))
    for (const key of Object.keys(manifest.exports)) {
      // Contract suites need vitest, which only those have who test an adapter of their own.
      const needsVitest = key === './testing' && 'vitest' in (manifest.peerDependencies ?? {})
      if (key !== './package.json' && !needsVitest) subpaths.push(manifest.name + key.slice(1))
    }
  }
  const files = readdirSync(tarballs).map(file => join(tarballs, file))
  for (const file of files) {
    const listing = run('tar', ['-tzf', file], folder)
    for (const wanted of [
      'package/package.json',
      'package/dist/index.js',
      'package/dist/index.d.ts',
      'package/README.md',
      'package/LICENSE',
    ]) {
      if (!listing.includes(`${wanted}\n`)) throw new Error(`${file} lacks ${wanted}`)
    }
    if (/package\/dist\/.*\.test\.|\/src\//.test(listing)) throw new Error(`${file} carries sources or tests`)
  }
  const dependencies = {}
  let client
  for (const file of files) {
    const packed = JSON.parse(run('tar', ['-xOzf', file, 'package/package.json'], folder))
    // Without what only tests need: the test kit must load without a client, and without a test runner.
    const { vitest: _, '@modelcontextprotocol/client': itsClient, ...peers } = packed.peerDependencies ?? {}
    client ??= itsClient
    Object.assign(dependencies, peers, { [packed.name]: `file:${file}` })
  }
  const manifest = { name: 'empty', private: true, type: 'module', dependencies }
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest))
  install()
  writeFileSync(join(project, 'check.js'), subpaths.map(path => `await import('${path}')`).join('\n'))
  run('node', ['check.js'], project)
  run('node', [join('node_modules', '.bin', 'sallyport'), 'help'], project)
  // What `sallyport init` makes, on the packages as they are installed.
  run('node', [join('node_modules', '.bin', 'sallyport'), 'init', 'made'], project)
  const made = readFileSync(join(project, 'made', 'package.json'), 'utf8')
  if (/catalog:|workspace:/.test(made)) throw new Error(`what was made cannot be installed:\n${made}`)
  dependencies['@modelcontextprotocol/client'] = client
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest))
  install()
  run('node', ['--test'], join(project, 'made'))
  console.log(`imported ${subpaths.join(', ')}`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
