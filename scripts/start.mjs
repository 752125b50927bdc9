// npm start: installs what the quickstart needs, builds it, and serves it. npm start <name> serves another example.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { installDependencies, prepareToolchain, root, run, stop } from './toolchain.mjs'

/** The package of an example, and the file that its own `start` runs. */
function findExample(name) {
  const manifestOf = folder => join(root, 'examples', folder, 'package.json')
  const read = folder =>
    existsSync(manifestOf(folder)) ? JSON.parse(readFileSync(manifestOf(folder), 'utf8')) : {}
  const startOf = folder => /^node (\S+)$/.exec(read(folder).scripts?.start ?? '')?.[1]
  const examples = readdirSync(join(root, 'examples')).filter(startOf)
  if (!examples.includes(name)) stop(`There is no example "${name}": choose one of ${examples.join(', ')}.`)
  return { example: read(name).name, file: join('examples', name, startOf(name)) }
}

const { example, file } = findExample(process.argv[2] ?? 'quickstart')
const environment = prepareToolchain()
console.log('Installing dependencies…')
await installDependencies(environment, ['.', `${example}...`])
console.log('Building…')
const quiet = { stdio: ['ignore', 'ignore', 'inherit'] }
if (
  (await run(
    'pnpm',
    ['exec', 'turbo', 'run', 'build', `--filter=${example}^...`, '--output-logs=errors-only'],
    environment,
    quiet,
  )) !== 0
) {
  stop('The packages could not be built; the reason stands above.')
}

const server = spawn('node', [file], {
  cwd: root,
  env: environment,
  stdio: 'inherit',
})
// Ctrl-C reaches the whole group; the server ends by itself and this process only passes its exit code on.
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => signal === 'SIGTERM' && server.kill(signal))
// npm that is told to end ends its shell and not what runs in it: the server must not stay behind.
const parent = process.ppid
if (process.env.npm_lifecycle_event) {
  setInterval(() => process.ppid !== parent && server.kill('SIGTERM'), 500).unref()
}
server.on('exit', (code, signal) => process.exit(code ?? (signal ? 0 : 1)))
