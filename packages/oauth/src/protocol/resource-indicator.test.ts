import { describe, expect, it } from 'vitest'
import { findResource } from './resource-indicator.ts'

const known = [
  'https://mcp.example.com/mcp',
  'https://mcp.example.com/mcp?tenant=A',
  'http://localhost:3000',
  'https://Mixed.Example/Path',
]

describe('findResource', () => {
  it.each([
    ['https://mcp.example.com/mcp', known[0]],
    ['HTTPS://MCP.Example.COM/mcp', known[0]],
    ['https://mcp.example.com/mcp?tenant=A', known[1]],
    ['https://mixed.example/Path', known[3]],
    // What a URL parser makes of an identifier without path.
    ['http://localhost:3000', known[2]],
    ['http://localhost:3000/', known[2]],
  ])('R54: %s names %s', (presented, expected) => {
    expect(findResource(known, presented)).toBe(expected)
  })

  it.each([
    '',
    '/mcp',
    'mcp.example.com/mcp',
    '//mcp.example.com/mcp',
    'https://mcp.example.com',
    'https://mcp.example.com/',
    'https://mcp.example.com/mcp/',
    'https://mcp.example.com/MCP',
    'https://mcp.example.com/%6dcp',
    'https://mcp.example.com/./mcp',
    'https://mcp.example.com/x/../mcp',
    'https://mcp.example.com//mcp',
    'https://mcp.example.com/mcp?',
    'https://mcp.example.com/mcp?tenant=a',
    'https://mcp.example.com/mcp#',
    'https://mcp.example.com/mcp#x',
    'https://mcp.example.com:443/mcp',
    'https://user@mcp.example.com/mcp',
    'https://mcp.example.com@evil.example/mcp',
    'https://evil.example/mcp',
    'https://mcp.example.com.evil.example/mcp',
    'http://mcp.example.com/mcp',
    'https:\\\\mcp.example.com/mcp',
    ' https://mcp.example.com/mcp',
    'https://mcp.example.com/mcp ',
    'https://mcp.example.com/mcp\n',
    'http://127.0.0.1:3000',
    'http://localhost:3001',
  ])('R54: %j names no resource of ours', presented => {
    expect(findResource(known, presented)).toBeUndefined()
  })
})
