import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import type { ContenderName } from './contender.ts'
import { measure } from './measure.ts'
import { renderTables } from './table.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    requests: { type: 'string', default: '1000' },
    concurrency: { type: 'string', default: '32' },
    only: { type: 'string' },
    profile: { type: 'string' },
  },
})

function hasRedis(): boolean {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    console.error('redis-server is not installed: its column is left out.')
    return false
  }
}

const all: readonly ContenderName[] = ['memory', 'file', 'redis', 'oidc-jwt', 'oidc-opaque']
const wanted = values.only?.split(',') ?? all
const contenders = all.filter(name => wanted.includes(name) && (name !== 'redis' || hasRedis()))
const samples = await measure({
  contenders,
  rounds: Number(values.rounds),
  requests: Number(values.requests),
  concurrency: Number(values.concurrency),
  ...(values.profile && { execArgv: ['--cpu-prof', `--cpu-prof-dir=${values.profile}`] }),
})
console.log(renderTables(samples))
