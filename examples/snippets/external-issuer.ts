import { createServer } from '@sallyport/mcp-server'
import { google, oidc } from '@sallyport/providers'

// The code that docs/external-issuer.md shows, compiled and run by external-issuer.test.ts.

// #region server
export const server = createServer({
  name: 'notebook',
  version: '1.0.0',
  issuer: 'https://login.example.com/realms/main',
})

server.tool('read-notes', {
  description: 'Reads your notes',
  auth: { scopes: ['notes:read'] },
  run: (_, { caller }) => `The notes of ${caller.subject}`,
})
// #endregion server

// #region options
export const withOptions = createServer({
  name: 'notebook',
  version: '1.0.0',
  issuer: {
    issuer: 'https://login.example.com/realms/main',
    audience: 'api://notebook',
    introspection: {
      clientId: 'notebook',
      clientSecret: process.env.INTROSPECTION_SECRET ?? '',
    },
  },
})
// #endregion options

// #region connections
export const withConnections = createServer({
  name: 'calendar',
  version: '1.0.0',
  issuer: 'https://login.example.com/realms/main',
  signIn: oidc({
    id: 'login',
    label: 'Example',
    issuer: 'https://login.example.com/realms/main',
    clientId: process.env.LOGIN_CLIENT_ID ?? '',
    clientSecret: process.env.LOGIN_CLIENT_SECRET ?? '',
    apiOrigins: [],
  }),
  providers: [google()],
})

withConnections.tool('calendars', {
  description: 'Lists your calendars',
  auth: { google: ['https://www.googleapis.com/auth/calendar.readonly'] },
  run: async (_, { fetch }) =>
    (await fetch('https://www.googleapis.com/calendar/v3/users/me/calendarList')).json(),
})
// #endregion connections
