import { createServer, ToolError } from '@sallyport/mcp-server'
import { linkedin } from '@sallyport/providers'
import { z } from 'zod'

const api = 'https://api.linkedin.com'

export const server = createServer({ name: 'linkedin', version: '1.0.0', signIn: linkedin() })

server.tool('post', {
  description: 'Publishes a post on your LinkedIn profile',
  input: z.object({ text: z.string().min(1).max(3000) }),
  auth: { linkedin: ['w_member_social'] },
  run: async ({ text }, { fetch }) => {
    const member = z.object({ sub: z.string() }).parse(await (await fetch(`${api}/v2/userinfo`)).json())
    const response = await fetch(`${api}/rest/posts`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        // LinkedIn answers 426 when the version is missing or has been retired.
        'linkedin-version': '202609',
        'x-restli-protocol-version': '2.0.0',
      },
      body: JSON.stringify({
        author: `urn:li:person:${member.sub}`,
        commentary: text,
        visibility: 'PUBLIC',
        distribution: {
          feedDistribution: 'MAIN_FEED',
          targetEntities: [],
          thirdPartyDistributionChannels: [],
        },
        lifecycleState: 'PUBLISHED',
        isReshareDisabledByAuthor: false,
      }),
    })
    if (!response.ok) throw new ToolError(`LinkedIn refused the post (HTTP ${response.status}).`)
    return `Posted as ${response.headers.get('x-restli-id')}.`
  },
})

await server.start()
