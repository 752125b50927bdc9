import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { banner } from './banner.ts'

const url = 'http://localhost:3000/mcp'
const text = banner({ name: 'My Server; rm -rf', url, dataFolder: '.sallyport', developmentSignIn: true })

describe('banner', () => {
  it('what is to be pasted into a configuration is JSON with the URL in it', () => {
    const objects = text.match(/^ {4}\{$[\s\S]*?^ {4}\}$/gm)?.map(json => JSON.parse(json))
    expect(objects).toEqual([
      { mcpServers: { 'my-server-rm-rf': { command: 'npx', args: ['-y', 'mcp-remote', url] } } },
      { servers: { 'my-server-rm-rf': { type: 'http', url } } },
    ])
  })

  it('what is to be pasted into a shell holds nothing a shell would run', () => {
    expect(text).toContain(`claude mcp add --transport http my-server-rm-rf ${url}\n`)
    expect(banner({ name: '日本', url, developmentSignIn: false })).toContain(`http mcp ${url}`)
  })

  it('says where the data lies, and loudly that nobody needs a password', () => {
    expect(text).toContain(`Data: ${resolve('.sallyport')}`)
    expect(text).toMatch(/!! DEVELOPMENT SIGN-IN: .* without a password/)
    expect(banner({ name: 'x', url, developmentSignIn: false })).not.toMatch(/Data:|DEVELOPMENT/)
  })
})
