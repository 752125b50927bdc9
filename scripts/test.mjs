// npm test: installs what is missing, then runs every check there is. Last line: N passed, N failed.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installDependencies, prepareToolchain, root, run, stop } from './toolchain.mjs'

const inPath = name => (process.env.PATH ?? '').split(':').some(folder => existsSync(join(folder, name)))

/** Tests run against a real Redis and a real browser: Debian's. */
async function installSystemPackages() {
  const missing = [
    ['redis-server', 'redis-server'],
    ['chromium', 'chromium'],
  ]
    .filter(([command]) => !inPath(command))
    .map(([, name]) => name)
  if (missing.length === 0) return
  const words = missing.join(' and ')
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) {
    stop(
      `The tests need ${words}: install ${missing.length > 1 ? 'them' : 'it'} (on Debian: sudo apt-get install ${missing.join(' ')}) and run npm test again.`,
    )
  }
  console.log(`Installing Debian's ${words}…`)
  // Installing must not start a server of the machine's own: the tests start theirs.
  const quietly = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const apt = (...parameters) =>
    run('apt-get', parameters, quietly, { stdio: ['ignore', 'ignore', 'inherit'] })
  const code =
    (await apt('update', '-qq')) || (await apt('install', '-y', '-qq', '--no-install-recommends', ...missing))
  if (code !== 0) stop(`apt-get could not install ${words}; the reason stands above.`)
}

const data = join(root, '.sallyport')
const hadData = existsSync(data)
const environment = prepareToolchain()
console.log('Installing dependencies…')
await Promise.all([installSystemPackages(), installDependencies(environment)])

const results = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
let passed = 0
let failed = 0

async function check(title, command, ...parameters) {
  console.log(`\n== ${title}`)
  if ((await run(command, parameters, environment)) === 0) passed++
  else {
    failed++
    console.log(`FAILED: ${title}`)
  }
}

async function tests(project) {
  console.log(`\n== ${project} tests`)
  const file = join(results, `${project}.json`)
  const code = await run(
    'pnpm',
    [
      'exec',
      'vitest',
      'run',
      '--project',
      project,
      '--reporter=dot',
      '--reporter=json',
      `--outputFile.json=${file}`,
    ],
    environment,
  )
  if (!existsSync(file)) {
    failed++
    return
  }
  const report = JSON.parse(readFileSync(file, 'utf8'))
  passed += report.numPassedTests
  // A file that does not load fails no test of its own, but the run; so does a skipped test.
  const count = report.numFailedTests + report.numPendingTests + report.numTodoTests
  failed += code !== 0 && count === 0 ? 1 : count
}

await check('format, lint and import cycles', 'pnpm', 'exec', 'biome', 'check', '--error-on-warnings', '.')
await check('types', 'pnpm', 'exec', 'tsc', '--noEmit')
await check('build', 'pnpm', 'exec', 'turbo', 'run', 'build', '--output-logs=errors-only')
await check('packed packages install and import in an empty project', 'node', 'scripts/check-packages.mjs')
await tests('unit')
// What uses Redis waits more than it computes.
await Promise.all([tests('redis'), tests('conformance')])
await tests('e2e')

// A store that a test forgot would meet the quickstart with a secret that does not open it.
await check(
  'the tests left no data behind',
  'node',
  '-e',
  `process.exit(${hadData || !existsSync(data) ? 0 : 1})`,
)

rmSync(results, { recursive: true, force: true })
console.log(`\n${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
