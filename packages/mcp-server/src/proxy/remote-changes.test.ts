import type { Client } from '@modelcontextprotocol/client'
import { developmentSignIn } from '@sallyport/oauth'
import { describe, expect, it, vi } from 'vitest'
import { closesAfterEach } from '../closing.fixture.ts'
import { createServer } from '../create-server.ts'
import { eras as clientEras, connectAskableOver } from '../elicit/asking-client.fixture.ts'
import { serveThroughPipes } from '../stdio/stdio-server.fixture.ts'
import { fakeProvider } from '../testing/fake-provider.ts'
import { type Era, eras } from '../testing/test-caller.ts'
import { createTestServer } from '../testing/test-server.ts'
import { startRemote } from './remote.fixture.ts'
import { startSessionsRemote } from './sessions-remote.fixture.ts'

const quiet = {
  name: 'gateway',
  version: '1.0.0',
  environment: {},
  logLevel: 'silent',
  port: 3000,
  sessions: { when: 'always' },
} as const
const track = closesAfterEach()
const soon = { timeout: 30_000 }

/** Hears of what changes: resources by their address, lists as `tools`. */
function hear(client: Client): string[] {
  const heard: string[] = []
  client.setNotificationHandler('notifications/resources/updated', ({ params: { uri } }) => {
    heard.push(uri)
  })
  client.setNotificationHandler('notifications/tools/list_changed', () => {
    heard.push('tools')
  })
  return heard
}

/** Follows resources as its era does, until what it returns is called. */
async function follow(client: Client, era: Era, ...uris: string[]): Promise<() => Promise<unknown>> {
  if (era === '2026-07-28') {
    const subscription = await client.listen({ resourceSubscriptions: uris, toolsListChanged: true })
    return subscription.close
  }
  for (const uri of uris) await client.subscribeResource({ uri })
  return () => Promise.all(uris.map(uri => client.unsubscribeResource({ uri })))
}

/** A gateway where each user has a session of their own at a remote server. */
async function setUpOwn(auth?: { scopes: string[] }) {
  const refused = new Set<string>()
  const admit = (authorization: string | null) => authorization !== null && !refused.has(authorization)
  const remote = track(await startSessionsRemote({ admit }))
  const hub = fakeProvider('hub')
  const server = createServer({
    ...quiet,
    signIn: developmentSignIn(),
    providers: [hub],
    scopes: { tickets: 'Your tickets', other: 'Something else' },
  })
  server.proxy({
    url: remote.url,
    prefix: 'hub',
    credentials: { provider: 'hub' },
    ...(auth && { auth: auth as never }),
  })
  const kit = track(await createTestServer(server, { providers: [hub] }))
  const connect = async (sub: string, era: Era, scopes?: string[]) => {
    const client = await (await kit.asUser({ sub, ...(scopes && { scopes }) })).connect({ era })
    return { client, heard: hear(client), authorization: latest() }
  }
  /** What was sent to the remote server for whoever got a token last. */
  const latest = () => `Bearer ${hub.tokens.at(-1)}`
  return { remote, refused, connect, latest }
}

describe.each(eras)('a %s client that follows a resource of a remote server', era => {
  it('hears of its changes, from a remote server of 2026-07-28, behind a mounted server too', async () => {
    const remote = track(await startRemote())
    const inner = createServer(quiet)
    inner.proxy({ url: remote.url, prefix: 'far' })
    const server = createServer(quiet)
    server.proxy({ url: remote.url, prefix: 'far' })
    server.mount('office', inner)
    const kit = track(await createTestServer(server))
    const client = await kit.asNobody().connect({ era })
    const heard = hear(client)
    const uris = ['notes://far/all', 'notes://office/far/all']
    const stop = await follow(client, era, ...uris)
    await vi.waitFor(() => expect(remote.follows()).toEqual(['notes://all', 'notes://all']), soon)
    remote.update('notes://one/7')
    remote.update('notes://all')
    await vi.waitFor(() => expect(heard.toSorted()).toEqual(uris), soon)
    await stop()
    await vi.waitFor(() => expect(remote.follows()).toEqual([]), soon)
  })

  it('R179: hears of those in the session that is theirs, and of nobody else’s', async () => {
    const { remote, connect } = await setUpOwn()
    const [ada, bob] = [await connect('ada', era), await connect('bob', era)]
    const theirs = (user: typeof ada) => remote.followedBy(user.authorization)
    await follow(ada.client, era, 'notes://hub/all')
    await vi.waitFor(() => expect(theirs(ada)).toEqual(['notes://all']), soon)
    // Used before anything is listened for, which a session of the 2025 revisions must do from its beginning.
    await bob.client.listTools()
    const stop = await follow(bob.client, era, 'notes://hub/all')
    await vi.waitFor(() => expect(theirs(bob)).toEqual(['notes://all']), soon)

    await remote.update(ada.authorization, 'notes://all')
    await vi.waitFor(() => expect(ada.heard).toEqual(['notes://hub/all']), soon)
    // What nobody follows is told to nobody, whatever the remote server tells.
    await remote.update(bob.authorization, 'notes://other')
    await remote.update(bob.authorization, 'notes://all')
    await vi.waitFor(() => expect(bob.heard).toEqual(['notes://hub/all']), soon)
    await remote.add(ada.authorization, 'second')
    await vi.waitFor(() => expect(ada.heard).toContain('tools'), soon)
    expect((await ada.client.listTools()).tools.map(({ name }) => name)).toContain('hub_second')
    await remote.update(bob.authorization, 'notes://all')
    await vi.waitFor(() => expect(bob.heard).toEqual(['notes://hub/all', 'notes://hub/all']), soon)
    expect(ada.heard.filter(each => each !== 'tools')).toEqual(['notes://hub/all'])

    await stop()
    await vi.waitFor(() => expect(theirs(bob)).toEqual([]), soon)
    expect(theirs(ada)).toEqual(['notes://all'])
  })

  it('follows it again, and hears that it may have changed, when the remote server has forgotten the session', async () => {
    const { remote, connect, latest } = await setUpOwn()
    const { client, heard } = await connect('ada', era)
    await follow(client, era, 'notes://hub/all')
    await vi.waitFor(() => expect(remote.followedBy(latest())).toEqual(['notes://all']), soon)
    await remote.forget()
    await client.callTool({ name: 'hub_first', arguments: {} })
    await vi.waitFor(() => expect(remote.followedBy(latest())).toEqual(['notes://all']), soon)
    await vi.waitFor(() => expect(heard).toContain('notes://hub/all'), soon)
  })

  it('R156: opens nothing with a token that could not read it', async () => {
    const { remote, connect } = await setUpOwn({ scopes: ['tickets'] })
    const { client } = await connect('ada', era, ['other'])
    await follow(client, era, 'notes://hub/all').catch(() => {})
    const wide = await connect('ada', era, ['tickets'])
    remote.seen.splice(0)
    await follow(wide.client, era, 'notes://hub/other')
    const followed = () => remote.seen.length > 0 && remote.followed()
    await vi.waitFor(() => expect(followed()).toEqual(['notes://other']), soon)
  })
})

it.each(clientEras)(
  'over stdio a %s client hears of a followed resource of a remote server',
  async (_, era) => {
    const remote = track(await startRemote())
    const server = createServer(quiet)
    server.proxy({ url: remote.url, prefix: 'far' })
    const { transport } = track(await serveThroughPipes(server))
    const client = await connectAskableOver(transport, era, {})
    const heard = hear(client)
    const stop = await follow(
      client,
      era.mode === 'legacy' ? '2025-11-25' : '2026-07-28',
      'notes://far/all',
      'notes://far/one/7',
    )
    await vi.waitFor(() => expect(remote.follows()).toEqual(['notes://all', 'notes://one/7']), soon)
    remote.update('notes://all')
    await vi.waitFor(() => expect(heard).toEqual(['notes://far/all']), soon)
    await stop()
    await vi.waitFor(() => expect(remote.follows()).toEqual([]), soon)
    await client.close()
  },
)

it('R179: what is followed moves to the session of the next token, and none of the old one’s news is told', async () => {
  const { remote, refused, connect, latest } = await setUpOwn()
  const { client, heard } = await connect('ada', '2025-11-25')
  await follow(client, '2025-11-25', 'notes://hub/all')
  await vi.waitFor(() => expect(remote.followedBy(latest())).toEqual(['notes://all']), soon)
  const before = latest()
  refused.add(before)
  await client.callTool({ name: 'hub_first', arguments: {} })
  expect(latest()).not.toBe(before)
  await vi.waitFor(() => expect(remote.followedBy(latest())).toEqual(['notes://all']), soon)
  await remote.update(before, 'notes://all')
  await remote.add(latest(), 'second')
  await vi.waitFor(() => expect(heard).toContain('tools'), soon)
  expect(heard).not.toContain('notes://hub/all')
})
