import { Octokit } from '@octokit/core'
import { createServer } from '@sallyport/mcp-server'
import { github, octokitAuth } from '@sallyport/providers'
import { z } from 'zod'

export const server = createServer({ name: 'github', version: '1.0.0', signIn: github() })

server.tool('my-issues', {
  description: 'Open issues on GitHub that are assigned to you',
  input: z.object({ limit: z.int().min(1).max(100).default(20) }),
  // The narrowest scope with which GitHub shows issues of private repositories.
  auth: { github: ['repo'] },
  run: async ({ limit }, context) => {
    const octokit = new Octokit({ authStrategy: octokitAuth, auth: context })
    const { data } = await octokit.request('GET /issues', { state: 'open', per_page: limit })
    return data.map(issue => `${issue.repository?.full_name}#${issue.number} ${issue.title}`).join('\n')
  },
})

await server.start()
