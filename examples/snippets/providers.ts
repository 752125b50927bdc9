import { createServer } from '@sallyport/mcp-server'
import { google, linkedin, oidc } from '@sallyport/providers'

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

export { calendar, company, posting }
