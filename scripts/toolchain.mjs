// Brings what the two commands need and the machine may lack: a recent Node and the pinned pnpm.
// Plain JavaScript for Node 18 and newer; nothing here may import a dependency.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const toolsFolder = join(root, '.toolchain')
const windows = process.platform === 'win32'

/** Ends the command with one sentence for the person who reads it. */
export function stop(sentence) {
  console.error(`\n${sentence}\n`)
  process.exit(1)
}

/** Runs TypeScript as it is, and every tool of the workspace: 22.18, 24.11 or 26 and newer. */
function isRecentNode(version) {
  const [major, minor] = version.replace(/^v/, '').split('.').map(Number)
  return (major === 22 && minor >= 18) || (major === 24 && minor >= 11) || major >= 26
}

function versionOf(command, environment) {
  try {
    return execFileSync(command, ['--version'], {
      encoding: 'utf8',
      env: environment,
      stdio: ['ignore', 'pipe', 'ignore'],
      shell: windows,
    }).trim()
  } catch {
    return undefined
  }
}

function installTools(packages) {
  console.log(`Fetching ${packages.join(' and ')} into .toolchain (once)…`)
  try {
    execFileSync(
      'npm',
      [
        'install',
        '--prefix',
        toolsFolder,
        '--no-audit',
        '--no-fund',
        '--no-package-lock',
        '--loglevel=error',
        ...packages,
      ],
      { cwd: root, stdio: ['ignore', 'ignore', 'inherit'], shell: windows },
    )
  } catch {
    stop(
      `npm could not install ${packages.join(' and ')}: check that this machine reaches the npm registry, then run the command again.`,
    )
  }
}

/** Environment in which `node` and `pnpm` are the ones this workspace is built with. */
export function prepareToolchain() {
  const pin = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager.split('@')[1]
  const platform = `${windows ? 'win' : process.platform}-${process.arch}`
  const nodePackage = platform === 'darwin-arm64' ? `node-bin-${platform}` : `node-${platform}`
  const nodeMajor = platform === 'darwin-arm64' ? 26 : 24
  const nodeFolder = join(toolsFolder, 'node_modules', nodePackage, 'bin')
  const binFolder = join(toolsFolder, 'node_modules', '.bin')
  const ownNode = isRecentNode(process.version)
  const path = [...(ownNode ? [dirname(process.execPath)] : [nodeFolder]), binFolder, process.env.PATH].join(
    windows ? ';' : ':',
  )
  // npm hands its own settings down; pnpm and the tools below must not read them as theirs.
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^npm_/i.test(name) && name !== 'PATH' && name !== 'Path',
  )
  const environment = {
    ...Object.fromEntries(inherited),
    PATH: path,
    TURBO_TELEMETRY_DISABLED: '1',
    // Hundreds of processes load the same sources: compiled once, each starts in half the time.
    NODE_COMPILE_CACHE: join(toolsFolder, 'compile-cache'),
  }

  const missing = []
  if (!ownNode && !existsSync(join(nodeFolder, windows ? 'node.exe' : 'node')))
    missing.push(`${nodePackage}@${nodeMajor}`)
  if (!existsSync(binFolder) || versionOf('pnpm', environment) !== pin) missing.push(`pnpm@${pin}`)
  if (missing.length > 0) installTools(missing)
  if (!isRecentNode(versionOf('node', environment) ?? 'v0')) {
    stop(
      `Node ${process.version} is too old and none could be fetched for ${process.platform}-${process.arch}: install Node 24 and run the command again.`,
    )
  }
  return environment
}

/** Runs a command in the workspace; resolves with its exit code. */
export function run(command, parameters, environment, options = {}) {
  return new Promise(finish => {
    const child = spawn(command, parameters, {
      cwd: root,
      env: environment,
      stdio: 'inherit',
      shell: windows,
      ...options,
    })
    child.on('error', () => finish(127))
    child.on('exit', (code, signal) => finish(code ?? (signal ? 130 : 1)))
  })
}

/** Installs the locked dependencies. NODE_ENV=production must not leave out what builds and tests. */
export async function installDependencies(environment, filters = []) {
  const { NODE_ENV: _, ...rest } = environment
  const parameters = [
    'install',
    '--frozen-lockfile',
    '--prefer-offline',
    '--reporter=append-only',
    ...filters.map(filter => `--filter=${filter}`),
  ]
  if (
    (await run('pnpm', parameters, { ...rest, CI: 'true' }, { stdio: ['ignore', 'ignore', 'inherit'] })) !== 0
  ) {
    stop(
      'pnpm could not install the locked dependencies: check that this machine reaches the npm registry, then run the command again.',
    )
  }
}
