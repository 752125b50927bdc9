import { parseArgs } from 'node:util'
import { contenderNames } from './contender.ts'
import { measure } from './measure.ts'
import { renderTable } from './table.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    warmup: { type: 'string', default: '2' },
    requests: { type: 'string', default: '2000' },
    concurrency: { type: 'string', default: '64' },
    only: { type: 'string' },
    profile: { type: 'string' },
  },
})
const wanted = values.only?.split(',') ?? contenderNames
const samples = await measure({
  contenders: contenderNames.filter(name => wanted.includes(name)),
  rounds: Number(values.rounds),
  warmUpRounds: Number(values.warmup),
  requests: Number(values.requests),
  concurrency: Number(values.concurrency),
  execArgv: [
    ...process.execArgv,
    ...(values.profile ? ['--cpu-prof', `--cpu-prof-dir=${values.profile}`] : []),
  ],
})
console.log(renderTable(samples))
