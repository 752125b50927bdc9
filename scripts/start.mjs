// npm start: installs what the quickstart needs, builds it, and serves it.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { installDependencies, prepareToolchain, root, run, stop } from './toolchain.mjs'

const example = '@sallyport/example-quickstart'
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

const server = spawn('node', [join('examples', 'quickstart', 'server.ts')], {
  cwd: root,
  env: environment,
  stdio: 'inherit',
})
// Ctrl-C reaches the whole group; the server ends by itself and this process only passes its exit code on.
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => signal === 'SIGTERM' && server.kill(signal))
server.on('exit', (code, signal) => process.exit(code ?? (signal ? 0 : 1)))
