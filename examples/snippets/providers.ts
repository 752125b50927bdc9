import { readFileSync } from 'node:fs'
import { calendar as calendarApi } from '@googleapis/calendar'
import { Octokit } from '@octokit/core'
import { createServer } from '@sallyport/mcp-server'
import {
  github,
  google,
  googleAuth,
  linkedin,
  microsoft,
  notion,
  oauth2,
  octokitAuth,
  oidc,
  registerGoogleSecurityEvents,
  slack,
} from '@sallyport/providers'
import { OAuth2Client } from 'google-auth-library'

// The code that docs/providers.md shows.

// #region google
const calendar = createServer({ name: 'calendar', version: '1.0.0', signIn: google() })
// #endregion google

// #region several
const posting = createServer({
  name: 'posting',
  version: '1.0.0',
  signIn: google(),
  providers: [linkedin()],
})
// #endregion several

// #region later
const sharing = createServer({
  name: 'sharing',
  version: '1.0.0',
  signIn: google(),
  providers: [linkedin()],
  connectAtSignIn: false,
})
// #endregion later

// #region security-events
const guarded = createServer({
  name: 'guarded',
  version: '1.0.0',
  signIn: google({ securityEvents: true }),
})
// #endregion security-events

/** Not called here: it tells Google. */
export async function pushToUs(): Promise<void> {
  // #region register-events
  await registerGoogleSecurityEvents({
    serviceAccount: JSON.parse(readFileSync('service-account.json', 'utf8')),
    publicUrl: 'https://mcp.example.com',
    marker: 'first-try',
  })
  // #endregion register-events
}

// #region dpop
const bound = createServer({ name: 'bound', version: '1.0.0', signIn: google({ dpop: true }) })
// #endregion dpop

// #region oidc
const company = createServer({
  name: 'company',
  version: '1.0.0',
  signIn: oidc({
    id: 'company',
    label: 'Example Inc.',
    issuer: 'https://login.example.com',
    clientId: process.env.COMPANY_CLIENT_ID ?? '',
    clientSecret: process.env.COMPANY_CLIENT_SECRET ?? '',
    apiOrigins: ['https://api.example.com'],
  }),
})

// #endregion oidc

// #region microsoft
const mail = createServer({
  name: 'mail',
  version: '1.0.0',
  signIn: microsoft({ tenant: '8eaef023-2b34-4da1-9baa-8bc8c9d6a490' }),
})
mail.tool('unread', {
  description: 'How many unread messages you have',
  auth: { microsoft: ['Mail.Read'] },
  run: async (_, { fetch }) => {
    const inbox = await fetch('https://graph.microsoft.com/v1.0/me/mailFolders/inbox')
    return inbox.json()
  },
})
// #endregion microsoft

// #region connect-only
const wiki = createServer({
  name: 'wiki',
  version: '1.0.0',
  signIn: github({ app: 'github-app' }),
  providers: [slack(), notion()],
})
wiki.tool('pages', {
  description: 'Titles of the Notion pages you picked',
  // Neither Notion nor a GitHub App has scopes.
  auth: { notion: [] },
  run: async (_, { fetch }) => {
    const headers = { 'content-type': 'application/json', 'notion-version': '2025-09-03' }
    const search = await fetch('https://api.notion.com/v1/search', { method: 'POST', headers, body: '{}' })
    return search.json()
  },
})
// #endregion connect-only

// #region oauth2
const tracker = oauth2({
  id: 'tracker',
  label: 'Tracker',
  clientId: process.env.TRACKER_CLIENT_ID ?? '',
  clientSecret: process.env.TRACKER_CLIENT_SECRET ?? '',
  authorizationEndpoint: 'https://tracker.example.com/oauth/authorize',
  tokenEndpoint: 'https://tracker.example.com/oauth/token',
  apiOrigins: ['https://api.tracker.example.com'],
  // Who the user is. Without it the provider connects only.
  account: { url: 'https://api.tracker.example.com/me', subject: 'data.id', name: 'data.name' },
  // What it does otherwise than RFC 6749.
  clientAuthentication: 'post',
  scopeSeparator: ',',
  accessTokenSeconds: 7200,
  rotatesRefreshTokens: false,
  errors: { token_gone: 'dead', busy: 'transient' },
  revocation: { endpoint: 'https://tracker.example.com/oauth/revoke', authentication: 'post' },
})
const tickets = createServer({ name: 'tickets', version: '1.0.0', signIn: tracker })
// #endregion oauth2

// #region googleapis
calendar.tool('next-event', {
  description: 'Your next event',
  auth: { google: ['https://www.googleapis.com/auth/calendar.readonly'] },
  run: async (_, context) => {
    const auth = googleAuth(new OAuth2Client(), context)
    const { events } = calendarApi({ version: 'v3', auth })
    const { data } = await events.list({ calendarId: 'primary', maxResults: 1, singleEvents: true })
    return data.items?.[0]?.summary ?? 'Nothing planned.'
  },
})
// #endregion googleapis

// #region octokit
const code = createServer({ name: 'code', version: '1.0.0', signIn: github() })
code.tool('login', {
  description: 'Your name on GitHub',
  auth: { github: [] },
  run: async (_, context) => {
    const octokit = new Octokit({ authStrategy: octokitAuth, auth: context })
    return (await octokit.request('GET /user')).data.login
  },
})

// #endregion octokit

export { bound, calendar, code, company, guarded, mail, posting, sharing, tickets, wiki }
