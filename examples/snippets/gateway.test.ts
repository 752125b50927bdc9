import { expect, it } from 'vitest'
import { createGateway } from './gateway.ts'

it('the proxies of docs/composition.md can be declared beside each other, and connect nothing before the start', () => {
  const server = createGateway()
  expect(() => server.proxy({ url: 'https://example.com/mcp', prefix: 'github', auth: {} })).toThrow(
    'prefix of another',
  )
})
