import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { server } from './tools.ts'

const call = (name: string, args: object = {}) =>
  fetch(server.url, {
    method: 'POST',
    headers: { accept: 'application/json, text/event-stream', 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }),
  })

const environment = [
  'GOOGLE_CLIENT_ID',
  'GOOGLE_CLIENT_SECRET',
  'SESSION_PROVIDER',
  'PORT',
  'LOG_LEVEL',
] as const
const before = environment.map(name => process.env[name])

beforeAll(async () => {
  Object.assign(process.env, {
    GOOGLE_CLIENT_ID: 'id',
    GOOGLE_CLIENT_SECRET: 'secret',
    SESSION_PROVIDER: 'memory',
    PORT: '0',
    LOG_LEVEL: 'silent',
    SALLYPORT_SECRET: 'a-snippet-needs-thirty-two-bytes-too',
  })
  await server.start({ silent: true, throwOnError: true, handleSignals: false })
})

afterAll(async () => {
  await server.close()
  environment.forEach((name, index) => {
    if (before[index] === undefined) delete process.env[name]
    else process.env[name] = before[index]
  })
})

describe('the code docs/tools.md shows', () => {
  it.each(['add', 'greet'])('%s works without a token, as the page says', async name => {
    const response = await call(name, { a: 1, b: 2 })
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
    ['add-account', 'mcp'],
    ['deleteNote', 'notes:write'],
    ['shut-down', 'admin'],
    ['run-job', 'jobs:run'],
    ['read-note', 'mcp'],
  ])('%s asks for sign-in with scope %s', async (name, scope) => {
    const response = await call(name)
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toContain(`scope="${scope}"`)
  })
})
