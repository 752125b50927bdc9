import { type ContenderName, eras } from './contender.ts'
import type { Sample } from './measure.ts'

const titles: Record<ContenderName, string> = {
  node: 'node:http echo',
  hono: 'Hono echo',
  sdk: 'SDK 2.x + jose',
  'sdk-100': 'SDK 2.x + jose, 100 tools',
  sallyport: 'Sallyport',
  'sallyport-100': 'Sallyport, 100 tools',
}

/** Medians over the rounds, as a Markdown table: CPU time, and its ratio to the bare echo. */
export function renderTable(samples: readonly Sample[]): string {
  const contenders = [...new Set(samples.map(({ contender }) => contender))]
  const cpu = (contender: ContenderName, era: string) =>
    median(samples.filter(s => s.contender === contender && s.era === era).map(s => s.cpuMicros))
  const cell = (contender: ContenderName, era: string) => {
    const micros = cpu(contender, era)
    const ratio = contenders.includes('node') ? ` (${(micros / cpu('node', era)).toFixed(2)})` : ''
    return `${micros.toFixed(0)}${ratio}`
  }
  return [
    `| CPU of the server process, µs per call (ratio to the bare echo) | ${eras.join(' | ')} |`,
    `|${' --- |'.repeat(eras.length + 1)}`,
    ...contenders.map(
      contender => `| ${[titles[contender], ...eras.map(era => cell(contender, era))].join(' | ')} |`,
    ),
  ].join('\n')
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
