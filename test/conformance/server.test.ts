import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRawClient } from '../e2e/support/raw-client.ts'
import { knownGaps } from './known-gaps.ts'
import { type Everything, startEverything } from './support/everything.ts'
import {
  type Findings,
  problemsOf,
  requirementsOf,
  revisions,
  runReferee,
  succeededIn,
} from './support/referee.ts'
import { startTokenProxy, type TokenProxy } from './support/token-proxy.ts'

/** What the reference server of the protocol's own SDK scores: all there is to score. */
const full = {
  '2025-11-25': { scenarios: 30, checks: 70 },
  '2026-07-28': { scenarios: 37, checks: 120 },
}

it('docs/conformance.md names every known gap', () => {
  const page = readFileSync(resolve(import.meta.dirname, '../../docs/conformance.md'), 'utf8')
  expect(Object.keys(knownGaps).filter(scenario => !page.includes(`\`${scenario}\``))).toEqual([])
})

const accesses = ['open', 'protected'] as const

describe.each(['on', 'off'] as const)('with lean calls %s', leanCalls => {
  let everything: Everything
  let proxy: TokenProxy
  const findings: Record<string, Findings> = {}
  beforeAll(async () => {
    everything = await startEverything(leanCalls)
    const { openUrl, protectedUrl } = everything
    const client = await createRawClient(protectedUrl)
    const { access_token } = await client.signIn()
    proxy = await startTokenProxy(protectedUrl, access_token)
    // Two servers, which know nothing of each other; on one of them the scenarios of one revision at a time.
    const urls = { open: openUrl, protected: proxy.url }
    await Promise.all(
      accesses.map(async access => {
        for (const revision of revisions) {
          const parameters = ['server', '--url', urls[access], '--requirements', revision]
          findings[`${access} ${revision}`] = await runReferee(parameters)
        }
      }),
    )
  })
  afterAll(async () => {
    await proxy?.close()
    await everything?.close()
  })

  describe.each(accesses)('the %s server', access => {
    describe.each(revisions)('in revision %s', revision => {
      const { scored, unscored } = requirementsOf(revision)
      const found = () => findings[`${access} ${revision}`] ?? new Map()

      it.each(scored)('passes %s', scenario => {
        expect(problemsOf(found(), scenario)).toEqual([])
      })

      it('has the full score', () => {
        expect(scored).toHaveLength(full[revision].scenarios)
        expect(succeededIn(found(), scored)).toBe(full[revision].checks)
      })

      it.each(unscored.filter(scenario => !(scenario in knownGaps)))('passes %s, unscored', scenario => {
        expect(problemsOf(found(), scenario)).toEqual([])
      })

      it.each(unscored.filter(scenario => scenario in knownGaps))('has a known gap in %s', scenario => {
        expect(problemsOf(found(), scenario), 'passed: take it out of known-gaps.ts').not.toEqual([])
      })
    })
  })
})
