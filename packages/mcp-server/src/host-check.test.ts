import { describe, expect, it } from 'vitest'
import { createHostCheck } from './host-check.ts'

const local = createHostCheck({ publicUrl: 'http://localhost:3000', port: 3000 })
const remote = createHostCheck({
  publicUrl: 'https://mcp.example.com',
  port: 8080,
  allowedHosts: ['internal:8080'],
  allowedOrigins: ['https://inspector.example'],
})

const to = (url: string, headers: Record<string, string> = {}) => new Request(url, { headers })

describe('checkHost', () => {
  it.each([
    [local, 'http://localhost:3000/mcp', 'localhost:3000'],
    [local, 'http://127.0.0.1:3000/mcp', '127.0.0.1:3000'],
    [local, 'http://[::1]:3000/mcp', '[::1]:3000'],
    [local, 'http://localhost:3000/mcp', 'LOCALHOST:3000'],
    [remote, 'https://mcp.example.com/mcp', 'mcp.example.com'],
    [remote, 'https://mcp.example.com/mcp', 'mcp.example.com:443'],
    [remote, 'http://internal:8080/mcp', 'internal:8080'],
    [remote, 'http://127.0.0.1:8080/mcp', '127.0.0.1:8080'],
  ])('R193: a name of this server is answered (%#: %s)', (check, url, host) => {
    expect(check.checkHost(to(url, { host }))).toBeUndefined()
  })

  it.each([
    ['a rebound domain', local, 'http://evil.example.com:3000/mcp', 'evil.example.com:3000'],
    ['a rebound domain behind a good request target', local, 'http://localhost:3000/mcp', 'evil.example.com'],
    ['a foreign request target behind a good header', local, 'http://evil.example.com/mcp', 'localhost:3000'],
    ['another port', local, 'http://localhost:3001/mcp', 'localhost:3001'],
    [
      'a name that starts like ours',
      remote,
      'https://mcp.example.com.evil.example/mcp',
      'mcp.example.com.evil.example',
    ],
    ['a loopback name with another port', remote, 'http://localhost:3000/mcp', 'localhost:3000'],
    ['two hosts', remote, 'https://mcp.example.com/mcp', 'mcp.example.com, evil.example.com'],
    ['an empty one', remote, 'https://mcp.example.com/mcp', ''],
  ])('R193: %s is refused', (_, check, url, host) => {
    expect(check.checkHost(to(url, { host }))?.status).toBe(403)
  })
})

describe('checkOrigin', () => {
  it.each([
    ['no page', remote, undefined],
    ['our own page', remote, 'https://mcp.example.com'],
    ['an origin the operator allowed', remote, 'https://inspector.example'],
    ['a loopback page of the same port', local, 'http://127.0.0.1:3000'],
  ])('R193: %s may use the server', (_, check, origin) => {
    expect(check.checkOrigin(to('http://localhost:3000/mcp', origin ? { origin } : {}))).toBeUndefined()
  })

  it.each([
    [remote, 'https://evil.example'],
    [remote, 'http://mcp.example.com'],
    [remote, 'https://mcp.example.com.evil.example'],
    [remote, 'https://MCP.example.com@evil.example'],
    [remote, 'null'],
    [remote, 'http://localhost:8080'],
    [local, 'http://localhost:8000'],
    [local, 'https://localhost:3000'],
  ])('R193: a page of another origin is refused (%#: %s)', (check, origin) => {
    expect(check.checkOrigin(to('http://localhost:3000/mcp', { origin }))?.status).toBe(403)
  })
})
