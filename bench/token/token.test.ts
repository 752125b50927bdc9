import { expect, it } from 'vitest'
import { measure } from './measure.ts'
import { operations } from './operations.ts'
import { renderTables } from './table.ts'

it('the bench of the token endpoint runs: every contender does everything it is measured by', async () => {
  const samples = await measure({
    contenders: ['memory', 'file', 'oidc-jwt', 'oidc-opaque'],
    rounds: 1,
    requests: 2,
    concurrency: 2,
    // The sources, so that no test depends on a build.
    execArgv: ['--conditions=sallyport-source'],
  })
  expect(samples).toHaveLength(4 * operations.length)
  for (const { cpuMicros, requestsPerSecond } of samples) {
    expect(cpuMicros).toBeGreaterThanOrEqual(0)
    expect(requestsPerSecond).toBeGreaterThan(0)
  }
  const rows = renderTables(samples)
    .split('\n')
    .filter(line => line.startsWith('| refresh |'))
  expect(rows).toHaveLength(3)
}, 30_000)
