import { createBrowser } from '@sallyport/test-upstream/browser'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { freePort } from '../e2e/support/free-port.ts'
import { createRawClient } from '../e2e/support/raw-client.ts'
import { passSignIn } from '../e2e/support/sign-in.ts'
import { type Everything, startEverything } from './support/everything.ts'
import { type Findings, problemsOf, runReferee, succeededIn } from './support/referee.ts'

const scenarios = ['authorization-server-metadata-endpoint', 'authorization-code-grant']

let everything: Everything
let findings: Findings
beforeAll(async () => {
  everything = await startEverything('on')
  const { protectedUrl } = everything
  const port = await freePort()
  const { client } = await createRawClient(protectedUrl, 'none', {
    metadata: { redirect_uris: [`http://127.0.0.1:${port}/callback`] },
  })
  let output = ''
  let visit: Promise<unknown> | undefined
  findings = await runReferee(
    [
      'authorization',
      ...['--url', new URL(protectedUrl).origin],
      ...['--client-id', client.client_id],
      ...['--resource', protectedUrl],
      ...['--port', String(port)],
    ],
    text => {
      output += text
      const [url] = /^http:\S+\/oauth\/authorize\?\S+$/m.exec(output.slice(0, output.lastIndexOf('\n'))) ?? []
      // What the referee asks of the person in front of it.
      if (url) visit ??= passSignIn(createBrowser(), url)
    },
  )
  await visit
})
afterAll(() => everything?.close())

it.each(scenarios)('the authorization server passes %s', scenario => {
  expect(problemsOf(findings, scenario)).toEqual([])
})

it('the authorization server passes all there is', () => {
  expect([...findings.keys()].sort()).toEqual([...scenarios].sort())
  expect(succeededIn(findings, scenarios)).toBe(3)
})
