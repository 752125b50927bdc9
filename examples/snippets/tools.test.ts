import { assertSignInRequired, createTestServer } from '@sallyport/mcp-server/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { server } from './tools.ts'

const test = createTestServer(server)
afterAll(() => test.close())

const call = (name: string) => test.asNobody().request('tools/call', { name, arguments: { a: 1, b: 2 } })

describe('the code docs/tools.md shows', () => {
  it.each(['add', 'greet'])('%s works without a token, as the page says', async name => {
    const response = await call(name)
    expect(response.status).toBe(200)
    expect(await response.text()).toMatch(/"text":"(3|Hello, whoever you are)"/)
  })

  it.each([
    ['whoami', 'mcp'],
    ['add-note', 'notes:write'],
    ['delete-notebook', 'notes:write'],
    ['calendars', 'mcp'],
    ['calendar-count', 'mcp'],
    ['calendar-health', 'mcp'],
    ['agenda', 'mcp'],
    ['next-in-both', 'mcp'],
    ['deleteNote', 'notes:write'],
    ['shut-down', 'admin'],
    ['run-job', 'jobs:run'],
    ['read-note', 'mcp'],
  ])('%s asks for sign-in with scope %s', async (name, scope) => {
    await assertSignInRequired(call(name), { scopes: [scope] })
  })
})
