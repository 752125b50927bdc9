import { createServer } from '@sallyport/mcp-server'
import { oidc } from '@sallyport/providers'

// The code that docs/enterprise.md shows, compiled and run by enterprise.test.ts.

// #region server
export const server = createServer({
  name: 'notebook',
  version: '1.0.0',
  signIn: oidc({
    id: 'acme',
    label: 'Acme',
    issuer: 'https://acme.okta.com',
    clientId: process.env.ACME_CLIENT_ID ?? '',
    clientSecret: process.env.ACME_CLIENT_SECRET ?? '',
    apiOrigins: ['https://acme.okta.com'],
  }),
  enterpriseIssuers: [{ issuer: 'https://acme.okta.com' }],
  clients: [
    {
      clientId: 'acme-assistant',
      clientSecret: process.env.ASSISTANT_SECRET ?? '',
      grantTypes: ['urn:ietf:params:oauth:grant-type:jwt-bearer'],
    },
  ],
})
// #endregion server

server.tool('whoami', {
  description: 'Tells who is signed in',
  auth: {},
  run: (_, { caller }) => caller.userId,
})
