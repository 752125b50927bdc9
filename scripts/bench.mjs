// npm run bench: installs what is missing, builds, and measures. What it measures: bench/README.md.
import { join } from 'node:path'
import { installDependencies, prepareToolchain, run, stop } from './toolchain.mjs'

const environment = prepareToolchain()
await installDependencies(environment)
const build = ['exec', 'turbo', 'run', 'build', '--filter=@sallyport/oauth', '--output-logs=errors-only']
if ((await run('pnpm', build, environment, { stdio: ['ignore', 'ignore', 'inherit'] })) !== 0) {
  stop('The packages could not be built; the reason stands above.')
}
process.exit(await run('node', [join('bench', 'token', 'main.ts'), ...process.argv.slice(2)], environment))
