/**
 * The server under test, as a process of its own: started, stopped and restarted by `sallyport.ts`, which also
 * moves its clock. Settings come from the environment, as for any deployer.
 */
import {
  ConnectionRequiredError,
  createServer,
  developmentSignIn,
  type Provider,
  type ServerOptions,
} from '@sallyport/mcp-server'
import { google, linkedin, oidc } from '@sallyport/providers'
import { z } from 'zod'
import { profileUrl, type SallyportMessage, type UpstreamSettings } from './messages.ts'

let aheadSeconds = 0
const clock = () => Math.floor(Date.now() / 1000) + aheadSeconds

const settings = JSON.parse(process.env.E2E_UPSTREAM ?? 'null') as UpstreamSettings | null
if (settings === null) throw new Error('E2E_UPSTREAM is missing')

const { clientId, clientSecret, securityEvents } = settings
const endpoints = { ...settings.endpoints, apiOrigins: [settings.apiOrigin] }
const providers = {
  google: () => google({ clientId, clientSecret, endpoints, securityEvents }),
  linkedin: () => linkedin({ clientId, clientSecret, endpoints }),
  oidc: () =>
    oidc({
      id: 'upstream',
      label: 'Test Cloud',
      issuer: settings.issuer,
      clientId,
      clientSecret,
      scopes: ['profile', 'email'],
      apiOrigins: [settings.apiOrigin],
    }),
}
/** Options of the enterprise tests: an issuer and its client. */
const enterprise = JSON.parse(process.env.E2E_ENTERPRISE ?? '{}') as Pick<
  ServerOptions,
  'enterpriseIssuers' | 'clients'
>
const upstream: Provider = providers[settings.kind]()

const { PUBLIC_URL, E2E_RESOURCE_SERVER_SECRET } = process.env
const server = createServer({
  name: 'End to end',
  version: '1.0.0',
  signIn: settings.signIn === 'upstream' ? upstream : developmentSignIn(),
  providers: settings.signIn === 'upstream' ? [] : [upstream],
  scopes: { 'notes:write': 'Add notes to your notebook' },
  clock,
  ...enterprise,
  ...(settings.dpopNonces === undefined ? {} : { dpopNonces: settings.dpopNonces }),
  ...(E2E_RESOURCE_SERVER_SECRET && {
    resourceServers: [
      { id: 'e2e-api', secret: E2E_RESOURCE_SERVER_SECRET, resources: [`${PUBLIC_URL}/mcp`] },
    ],
  }),
  ...(settings.challengeOnConnect === undefined ? {} : { challengeOnConnect: settings.challengeOnConnect }),
})

server.tool('add', {
  description: 'Adds two numbers. Public: needs no sign-in.',
  input: z.object({ a: z.number(), b: z.number() }),
  run: ({ a, b }) => `${a + b}`,
})

server.tool('whoami', {
  description: 'Tells who is signed in.',
  auth: {},
  run: (_, { caller }) => JSON.stringify(caller),
})

server.tool('add-note', {
  description: 'Adds a note.',
  input: z.object({ text: z.string() }),
  auth: { scopes: ['notes:write'] },
  run: ({ text }) => `noted: ${text}`,
})

server.tool('my-profile', {
  description: 'Reads the profile at Test Cloud with the token of the user.',
  auth: { [upstream.id]: ['profile'] },
  run: async (_, { fetch }) => (await fetch(profileUrl(settings.apiOrigin))).text(),
})

server.tool('my-profiles', {
  description: 'Reads the profiles of two accounts at Test Cloud.',
  auth: { [upstream.id]: ['profile'] },
  run: async (_, { accounts, fetch }) => {
    const connected = await accounts(upstream.id)
    if (connected.length < 2) throw new ConnectionRequiredError(upstream.id, 'another_account')
    const profiles = connected.map(async ({ id }) =>
      (await fetch(profileUrl(settings.apiOrigin), { account: id })).json(),
    )
    return JSON.stringify(await Promise.all(profiles))
  },
})

server.tool('confirm', {
  description: 'Asks the user to confirm.',
  input: z.object({ what: z.string() }),
  auth: {},
  run: async ({ what }, { elicit }) => {
    const { content } = await elicit({ message: what, schema: z.object({ sure: z.boolean() }) })
    return `${what}: ${content?.sure}`
  },
})

for (const proxy of JSON.parse(process.env.E2E_PROXIES ?? '[]')) server.proxy(proxy)

process.on('message', (message: SallyportMessage) => {
  if ('advanceSeconds' in message) aheadSeconds += message.advanceSeconds
  process.send?.('done')
})
// The test has gone: so does the server.
process.on('disconnect', () => process.exit(0))

await server.start()
process.send?.('ready')
