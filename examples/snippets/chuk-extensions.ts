import { setTimeout as pause } from 'node:timers/promises'
import { createServer, developmentSignIn } from '@sallyport/mcp-server'
import { z } from 'zod'

// The code that docs/migrate-from-chuk.md shows about views and tasks, compiled and run by chuk-extensions.test.ts.

const server = createServer({ name: 'sales', version: '1.0.0', signIn: developmentSignIn() })
const chartPage = '<!doctype html><title>Sales</title><div id="chart"></div>'

// #region view
server.tool('show-chart', {
  description: 'Shows the sales of a year as a chart',
  input: z.object({ year: z.int() }),
  output: z.object({ year: z.int(), months: z.array(z.number()) }),
  annotations: { readOnlyHint: true },
  ui: {
    uri: 'ui://sales/chart',
    html: () => chartPage,
    csp: { connectDomains: ['https://api.example.com'] },
    prefersBorder: true,
  },
  run: ({ year }) => ({ year, months: [4200, 5100, 4800] }),
})
// #endregion view

// #region task
server.tool('report', {
  description: 'Writes the report of a year',
  input: z.object({ year: z.int() }),
  auth: {},
  task: 'optional',
  run: async ({ year }, { progress, signal }) => {
    for (const quarter of [1, 2, 3, 4]) {
      await progress(quarter, 4, `Quarter ${quarter} of ${year}`)
      await pause(10, undefined, { signal })
    }
    return `The report of ${year}.`
  },
})

// #endregion task

export { server }
