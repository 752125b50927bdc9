import { oddFixtures, oidcFixtures } from './generic.fixture.ts'
import { githubAppFixtures, githubOauthAppFixtures } from './github.fixture.ts'
import { googleFixtures } from './google.fixture.ts'
import { github, google, linkedin, microsoft, notion, oauth2, oidc, slack } from './index.ts'
import { linkedinFixtures, linkedinPartnerFixtures } from './linkedin.fixture.ts'
import { microsoftFixtures, tenant } from './microsoft.fixture.ts'
import { notionFixtures } from './notion.fixture.ts'
import { slackFixtures } from './slack.fixture.ts'
import { describeProviderContract } from './testing/provider-contract.ts'

describeProviderContract({
  name: 'Google',
  create: ({ origin: _, ...options }) => google(options),
  fixtures: googleFixtures,
})

describeProviderContract({
  name: 'LinkedIn',
  create: ({ origin: _, ...options }) => linkedin(options),
  fixtures: linkedinFixtures,
})

describeProviderContract({
  name: 'LinkedIn, approved partner',
  create: ({ origin: _, ...options }) => linkedin(options),
  fixtures: linkedinPartnerFixtures,
})

describeProviderContract({
  name: 'GitHub, OAuth app',
  create: ({ origin: _, ...options }) => github(options),
  fixtures: githubOauthAppFixtures,
})

describeProviderContract({
  name: 'GitHub, GitHub App',
  create: ({ origin: _, ...options }) => github({ ...options, app: 'github-app' }),
  fixtures: githubAppFixtures,
})

for (const who of ['common', 'organizations', tenant]) {
  describeProviderContract({
    name: `Microsoft, ${who}`,
    create: ({ origin, endpoints, ...options }) =>
      microsoft({
        ...options,
        tenant: who,
        endpoints: { ...endpoints, issuers: [`${origin}/{tenantid}/v2.0`] },
      }),
    fixtures: microsoftFixtures,
  })
}

describeProviderContract({
  name: 'Slack',
  create: ({ origin: _, ...options }) => slack(options),
  fixtures: slackFixtures,
})

describeProviderContract({
  name: 'Notion',
  create: ({ origin: _, ...options }) => notion(options),
  fixtures: notionFixtures,
})

describeProviderContract({
  name: 'any OpenID provider',
  create: ({ origin, endpoints: _, ...options }) =>
    oidc({ id: 'demo', label: 'Demo', issuer: origin, apiOrigins: [origin], ...options }),
  fixtures: oidcFixtures,
})

describeProviderContract({
  name: 'any OAuth 2.0 provider',
  create: ({ origin, endpoints, ...options }) =>
    oauth2({
      id: 'odd',
      label: 'Odd',
      ...options,
      authorizationEndpoint: endpoints.authorization,
      tokenEndpoint: endpoints.token,
      apiOrigins: [origin],
      account: { reply: { subject: 'account.id' } },
      clientAuthentication: 'post',
      tokenBody: 'json',
      tokenReplyPath: 'data',
      scopes: ['me'],
      scopeParameter: 'permissions',
      scopeSeparator: ',',
      expiresInUnit: 'minutes',
      pkce: false,
      authorizationParameters: { audience: 'api' },
      errors: { grant_gone: 'dead', try_again: 'transient' },
      deniedErrors: ['declined'],
      revocation: {
        endpoint: endpoints.revocation,
        method: 'DELETE',
        authentication: 'none',
        token: 'access_token',
        parameter: 'access_token',
        body: 'json',
        goneStatuses: [410],
      },
    }),
  fixtures: oddFixtures,
})
