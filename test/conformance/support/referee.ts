import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'

const home = dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'))

/** Revisions that have a frozen list of what they require. */
export const revisions = ['2025-11-25', '2026-07-28'] as const

/** One thing the referee looked at. */
interface Check {
  id: string
  status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO'
  errorMessage?: string
}

/** What the referee found, by scenario. */
export type Findings = ReadonlyMap<string, readonly Check[]>

/** What a revision asks of a server: scenarios that count, and those that are run beside them. */
export function requirementsOf(revision: string): { scored: string[]; unscored: string[] } {
  const { server, not_scored: others } = parse(
    readFileSync(join(home, 'requirements', `${revision}.yaml`), 'utf8'),
  ) as { server: string[]; not_scored: { scenario: string; leg: string }[] }
  return { scored: server, unscored: others.filter(({ leg }) => leg === 'server').map(each => each.scenario) }
}

/**
 * Runs `conformance`, and reads what it saved. How it ends says nothing that this does not: it counts a warning as
 * passed.
 *
 * @param onOutput told what it prints, as it comes
 * @throws {Error} with what it printed, when it saved nothing
 */
export async function runReferee(
  parameters: readonly string[],
  onOutput: (text: string) => void = () => {},
): Promise<Findings> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-referee-'))
  try {
    const child = spawn(
      process.execPath,
      [join(home, 'dist/index.js'), ...parameters, '--output-dir', folder],
      { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder, env: { PATH: process.env.PATH, HOME: folder } },
    )
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk
        onOutput(String(chunk))
      })
    }
    await new Promise(exited => child.on('exit', exited))
    const findings = new Map<string, Check[]>()
    for (const name of await readdir(folder)) {
      // The kind of run, the scenario, and when it was.
      const scenario = name
        .replace(/^(?:authorization-server|server)-/, '')
        .replace(/-\d{4}-\d\d-\d\dT.*$/, '')
      findings.set(scenario, JSON.parse(await readFile(join(folder, name, 'checks.json'), 'utf8')))
    }
    if (findings.size === 0) throw new Error(`the referee saved nothing:\n${output}`)
    return findings
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Checks of a scenario that did not succeed, in words; notes of the referee are none. */
export function problemsOf(findings: Findings, scenario: string): string[] {
  const checks = findings.get(scenario)
  if (!checks) return ['the referee did not run it']
  const problems = checks
    .filter(({ status }) => status !== 'SUCCESS' && status !== 'INFO')
    .map(({ id, status, errorMessage }) => `${status} ${id}: ${errorMessage ?? 'no reason given'}`)
  return problems.length > 0 || succeededIn(findings, [scenario]) > 0 ? problems : ['nothing was checked']
}

/** How many checks of these scenarios succeeded. */
export const succeededIn = (findings: Findings, scenarios: readonly string[]): number =>
  scenarios.flatMap(scenario => findings.get(scenario) ?? []).filter(({ status }) => status === 'SUCCESS')
    .length
