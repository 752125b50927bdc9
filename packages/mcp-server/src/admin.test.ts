import { createMemoryStore, developmentSignIn, type SallyportEvent } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { createServer } from './create-server.ts'
import { createTestClient, textOf } from './sign-in.fixture.ts'

function setUp() {
  const events: SallyportEvent[] = []
  const options = {
    name: 'admin',
    version: '1.0.0',
    signIn: developmentSignIn(),
    store: createMemoryStore(),
    secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
    environment: { LOG_LEVEL: 'silent' },
    onEvent: (event: SallyportEvent) => void events.push(event),
  }
  const server = createServer(options)
  server.tool('whoami', { description: 'Names you', auth: {}, run: (_, { caller }) => caller.userId })
  const client = createTestClient(request => server.fetch(request), 'http://localhost:3000')
  return { server, options, client, events }
}

describe('R72: server.admin', () => {
  it('shows an operator whose session it is, and ends it at once', async () => {
    const { server, client, events } = setUp()
    const { access_token: token, refresh_token } = await client.signIn()
    const userId = (await textOf(await client.call('whoami', {}, token)))!
    expect(await server.admin.listGrants(userId)).toMatchObject([
      { clientName: 'Test client', scopes: ['mcp'], resource: 'http://localhost:3000/mcp' },
    ])
    expect(await server.admin.listConnections(userId)).toEqual([])
    expect(await server.admin.stats()).toMatchObject({ grants: 1, grantsWithAccess: 1 })
    expect(await server.admin.revokeUser(userId)).toBe(1)
    expect((await client.call('whoami', {}, token)).status).toBe(401)
    const refreshed = await client.token({
      grant_type: 'refresh_token',
      refresh_token: String(refresh_token),
    })
    expect(refreshed.error).toBe('invalid_grant')
    expect(events).toContainEqual(expect.objectContaining({ type: 'family_revoked', by: 'administrator' }))
  })

  it.each([
    ['revokeGrant', async (admin: Admin, id: Ids) => admin.revokeGrant(id.grantId), true],
    ['revokeClient', async (admin: Admin, id: Ids) => admin.revokeClient(id.clientId), 1],
    ['revokeAll', async (admin: Admin) => admin.revokeAll(), 1],
    ['disableUser', async (admin: Admin, id: Ids) => admin.disableUser(id.userId), 1],
  ])('%s too', async (_, revoke, ended) => {
    const { server, client } = setUp()
    const { access_token: token } = await client.signIn()
    const userId = (await textOf(await client.call('whoami', {}, token)))!
    const [grant] = await server.admin.listGrants(userId)
    expect(await revoke(server.admin, { userId, ...grant! })).toBe(ended)
    expect((await client.call('whoami', {}, token)).status).toBe(401)
  })

  it('R109: a disabled user gets in again once enabled', async () => {
    const { server, client } = setUp()
    const { access_token: token } = await client.signIn()
    const userId = (await textOf(await client.call('whoami', {}, token)))!
    await server.admin.disableUser(userId)
    await expect(client.signIn()).rejects.toThrow('error=access_denied')
    await server.admin.enableUser(userId)
    const { access_token: next } = await client.signIn()
    expect(await textOf(await client.call('whoami', {}, next))).toBe(userId)
  })

  it('works from a script that never listens, on the store of the server that does', async () => {
    const { options, client } = setUp()
    const { access_token: token } = await client.signIn()
    const script = createServer(options)
    expect(await script.admin.revokeAll()).toBe(1)
    await script.close()
    expect((await client.call('whoami', {}, token)).status).toBe(401)
  })

  it('says what is missing on a server without sign-in', async () => {
    const server = createServer({ name: 'open', version: '1', environment: { LOG_LEVEL: 'silent' } })
    await expect(server.admin.stats()).rejects.toThrow(
      'The server has no sign-in, so there is nobody to administer: give it signIn.',
    )
  })
})

type Admin = ReturnType<typeof setUp>['server']['admin']
type Ids = { userId: string; grantId: string; clientId: string }
