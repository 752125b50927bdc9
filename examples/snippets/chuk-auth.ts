import { type CallContext, type Caller, createServer, ToolError } from '@sallyport/mcp-server'
import { google, googleAuth, linkedin, oauth2 } from '@sallyport/providers'
import { OAuth2Client } from 'google-auth-library'
import { z } from 'zod'

// The code that docs/migrate-from-chuk.md shows about sign-in, compiled and run by chuk-auth.test.ts.

// #region requires-auth
const posting = createServer({
  name: 'posting',
  version: '1.0.0',
  signIn: linkedin(),
  scopes: { 'posts.write': 'Publish posts in your name' },
})

posting.tool('publish', {
  description: 'Publishes a post',
  input: z.object({ text: z.string().min(1) }),
  auth: { scopes: ['posts.write'], linkedin: ['w_member_social'] },
  run: async ({ text }, { fetch }) => {
    const response = await fetch('https://api.linkedin.com/rest/posts', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'linkedin-version': '202609' },
      body: JSON.stringify({ commentary: text }),
    })
    if (!response.ok) throw new ToolError(`LinkedIn answered ${response.status}.`)
    return 'Published.'
  },
})
// #endregion requires-auth

// #region google-drive
const drive = createServer({ name: 'drive', version: '1.0.0', signIn: google() })

drive.tool('files', {
  description: 'Lists your files',
  auth: { google: ['https://www.googleapis.com/auth/drive.file'] },
  run: async (_, { fetch }) => (await fetch('https://www.googleapis.com/drive/v3/files')).json(),
})
// #endregion google-drive

// #region google-client
drive.tool('about', {
  description: 'How much room your drive has',
  auth: { google: ['https://www.googleapis.com/auth/drive.file'] },
  run: async (_, context) => {
    const client = googleAuth(new OAuth2Client(), context)
    const about = 'https://www.googleapis.com/drive/v3/about?fields=storageQuota'
    return (await client.request({ url: about })).data
  },
})
// #endregion google-client

// #region custom-provider
const tracker = oauth2({
  id: 'tracker',
  label: 'Tracker',
  clientId: process.env.TRACKER_CLIENT_ID ?? '',
  clientSecret: process.env.TRACKER_CLIENT_SECRET ?? '',
  authorizationEndpoint: 'https://tracker.example.com/oauth/authorize',
  tokenEndpoint: 'https://tracker.example.com/oauth/token',
  apiOrigins: ['https://api.tracker.example.com'],
  account: { url: 'https://api.tracker.example.com/me', subject: 'id', name: 'name' },
})
const issues = createServer({ name: 'issues', version: '1.0.0', signIn: tracker })
// #endregion custom-provider

issues.tool('mine', {
  description: 'Your issues',
  auth: { tracker: ['read'] },
  run: async (_, { fetch }) => (await fetch('https://api.tracker.example.com/issues?mine=1')).json(),
})

// #region old-data
/** Before, a user was known by Google's own id of the account; now by `caller.userId`. */
async function adoptNotes({ caller, fetch }: CallContext<Caller, 'google'>): Promise<void> {
  if (notes.has(caller.userId)) return
  const response = await fetch('https://openidconnect.googleapis.com/v1/userinfo')
  const { sub } = z.object({ sub: z.string() }).parse(await response.json())
  notes.set(caller.userId, notes.get(sub) ?? [])
  notes.delete(sub)
}

drive.tool('notes', {
  description: 'Your notes',
  auth: { google: [] },
  run: async (_, context) => {
    await adoptNotes(context)
    return notes.get(context.caller.userId)
  },
})
// #endregion old-data

const notes = new Map<string, string[]>([['google-id-of-ada', ['Buy milk']]])

export { drive, issues, posting }
