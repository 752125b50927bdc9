import { ConnectionRequiredError, createServer, ToolError } from '@sallyport/mcp-server'
import { google, linkedin } from '@sallyport/providers'
import { z } from 'zod'
import { eventsUrl } from './events-url.ts'

const calendar = 'https://www.googleapis.com/auth/calendar.readonly'
const linkedinApi = 'https://api.linkedin.com'

export const server = createServer({
  name: 'many-accounts',
  version: '1.0.0',
  signIn: google(),
  providers: [linkedin()],
  // Users sign in with Google alone; LinkedIn is asked for in the middle of the first call that posts.
  connectAtSignIn: false,
})

const eventList = z.object({ items: z.array(z.object({ summary: z.string().default('busy') })) })

server.tool('share-day', {
  description: 'Posts what is in your Google calendar on one day to your LinkedIn profile',
  input: z.object({ day: z.iso.date(), account: z.string().optional() }),
  auth: { google: [calendar], linkedin: ['w_member_social'] },
  run: async ({ day, account }, { fetch }) => {
    const { items } = eventList.parse(await (await fetch(eventsUrl(day), { account })).json())
    const member = z
      .object({ sub: z.string() })
      .parse(await (await fetch(`${linkedinApi}/v2/userinfo`)).json())
    const response = await fetch(`${linkedinApi}/rest/posts`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'linkedin-version': '202609',
        'x-restli-protocol-version': '2.0.0',
      },
      body: JSON.stringify({
        author: `urn:li:person:${member.sub}`,
        commentary: `My day: ${items.map(({ summary }) => summary).join(', ')}`,
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
    return `Posted ${items.length} events as ${response.headers.get('x-restli-id')}.`
  },
})

server.tool('calendars', {
  description: 'Your connected Google accounts: pass an id as "account" to use another than the default',
  auth: { google: [calendar] },
  run: async (_, { accounts }) => ({ accounts: await accounts('google') }),
})

server.tool('add-calendar', {
  description: 'Connects one more Google account',
  auth: { google: [calendar] },
  run: async () => {
    throw new ConnectionRequiredError('google', 'another_account')
  },
})

await server.start()
