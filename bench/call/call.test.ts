import { expect, it } from 'vitest'
import { contenderNames, eras } from './contender.ts'
import { measure } from './measure.ts'
import { renderTable } from './table.ts'

it('the bench of calls runs: every contender answers the call in both eras', async () => {
  const samples = await measure({
    contenders: contenderNames,
    rounds: 1,
    warmUpRounds: 0,
    requests: 2,
    concurrency: 2,
    // The sources, so that no test depends on a build.
    execArgv: ['--conditions=sallyport-source'],
  })
  expect(samples).toHaveLength(contenderNames.length * eras.length)
  for (const { cpuMicros } of samples) expect(cpuMicros).toBeGreaterThanOrEqual(0)
  expect(renderTable(samples).split('\n')).toHaveLength(contenderNames.length + 2)
}, 60_000)
