// npm run bench: installs what is missing, builds, and measures. What it measures: bench/README.md.
import { join } from 'node:path'
import { installDependencies, prepareToolchain, run, stop } from './toolchain.mjs'

const environment = prepareToolchain()
await installDependencies(environment)
const build = ['exec', 'turbo', 'run', 'build', '--filter=@sallyport/mcp-server', '--output-logs=errors-only']
if ((await run('pnpm', build, environment, { stdio: ['ignore', 'ignore', 'inherit'] })) !== 0) {
  stop('The packages could not be built; the reason stands above.')
}
// `npm run bench -- call` or `-- token` runs one of them; options go to what runs.
const [first, ...others] = process.argv.slice(2)
const benches = ['token', 'call']
const chosen = benches.includes(first) ? [first] : benches
const options = chosen.length === 1 ? others : process.argv.slice(2)
let code = 0
for (const bench of chosen) {
  code ||= await run('node', [join('bench', bench, 'main.ts'), ...options], environment)
}
process.exit(code)
