import type { ContenderName } from './contender.ts'
import type { Sample } from './measure.ts'
import { operations } from './operations.ts'

const titles: Record<ContenderName, string> = {
  memory: 'memory',
  file: 'file',
  redis: 'Redis',
  'oidc-jwt': 'oidc-provider, JWT',
  'oidc-opaque': 'oidc-provider, opaque',
}

/** The contender that the others are compared with: it issues the same kind of token. */
const reference: ContenderName = 'oidc-jwt'

/** Medians over the rounds, as Markdown tables: CPU time, its ratio to the reference, and throughput. */
export function renderTables(samples: readonly Sample[]): string {
  const contenders = [...new Set(samples.map(({ contender }) => contender))]
  const medianOf = (
    contender: ContenderName,
    operation: string,
    pick: (sample: Sample) => number | undefined,
  ) =>
    median(
      samples
        .filter(sample => sample.contender === contender && sample.operation === operation)
        .flatMap(sample => pick(sample) ?? []),
    )
  const cpu = (contender: ContenderName, operation: string) =>
    medianOf(contender, operation, sample => sample.cpuMicros)
  const table = (title: string, cell: (contender: ContenderName, operation: string) => string) =>
    [
      `| ${[title, ...contenders.map(contender => titles[contender])].join(' | ')} |`,
      `|${' --- |'.repeat(contenders.length + 1)}`,
      ...operations.map(
        operation =>
          `| ${[operation, ...contenders.map(contender => cell(contender, operation))].join(' | ')} |`,
      ),
    ].join('\n')
  const redis = (operation: string) => medianOf('redis', operation, sample => sample.redisMicros)
  return [
    table('CPU of the server process, µs per request', (contender, operation) => {
      const used = cpu(contender, operation).toFixed(0)
      return contender === 'redis' ? `${used} (+ ${redis(operation).toFixed(0)} in Redis)` : used
    }),
    ...(contenders.includes(reference)
      ? [
          table(`CPU, ratio to ${titles[reference]}`, (contender, operation) =>
            (cpu(contender, operation) / cpu(reference, operation)).toFixed(2),
          ),
        ]
      : []),
    table('requests per second', (contender, operation) =>
      medianOf(contender, operation, sample => sample.requestsPerSecond).toFixed(0),
    ),
  ].join('\n\n')
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
