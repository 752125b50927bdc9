import { ConnectionRequiredError, ToolError } from '@sallyport/mcp-server'
import {
  anotherAccount,
  connectionSealContext,
  createSecretRing,
  hashIdentity,
  LoginError,
} from '@sallyport/oauth'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FakeUpstream, startFakeUpstream } from './testing/fake-upstream.ts'
import {
  callbackUrl,
  createHarness,
  createTestClock,
  type Harness,
  providerAt,
  type TestClock,
  user,
} from './testing/harness.ts'

const calendar = 'https://www.googleapis.com/auth/calendar.readonly'
const mail = 'https://www.googleapis.com/auth/gmail.readonly'

let clock: TestClock
let upstream: FakeUpstream
let harness: Harness

beforeEach(async () => {
  clock = createTestClock()
  upstream = await startFakeUpstream(clock)
  harness = createHarness(providerAt.google(upstream.origin), { upstream, clock })
})
afterEach(() => upstream.close())

/** Connects the account of `sub`, whose tokens carry its name. */
const connect = (sub: string, claims: Record<string, unknown> = {}, reply: Record<string, unknown> = {}) =>
  harness.connect({
    scopes: [calendar],
    claims: { sub, ...claims },
    reply: {
      access_token: `access-${sub}`,
      refresh_token: `refresh-${sub}`,
      scope: `openid profile ${calendar}`,
      ...reply,
    },
  })
const accounts = () => harness.connected.accounts(user)
const idOf = async (label: string) => (await accounts()).find(each => each.label === label)!.id
const tokenOf = async (account?: string) => (await harness.connected.token(user, [calendar], account)).value
const start = async (request: { account?: string; scopes?: string[] }) => {
  const { url } = await harness.connected.login.start({
    callbackUrl,
    upstreamState: 'state',
    scopes: [calendar],
    userId: user,
    ...request,
  })
  return new URL(url).searchParams
}
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    error => error,
  )

describe('several accounts of one user at one provider', () => {
  it('a second account does not overwrite the first; the first is used until the user says otherwise', async () => {
    await connect('ada', { name: 'Ada' })
    clock.now += 10
    await connect('work', { name: 'Ada', email: 'ada@work.example' })
    expect(await accounts()).toMatchObject([
      { label: 'Ada', isDefault: true, state: 'active' },
      { label: 'ada@work.example', isDefault: false, state: 'active' },
    ])
    expect(await tokenOf()).toBe('access-ada')
    expect(await tokenOf(await idOf('ada@work.example'))).toBe('access-work')
    expect(await tokenOf(await idOf('Ada'))).toBe('access-ada')
  })

  it('the first one connected is the default, also when the next ones come within the same second', async () => {
    const names = ['Ada', 'Bea', 'Cay', 'Dot', 'Eve']
    for (const name of names) await connect(name.toLowerCase(), { name })
    expect((await accounts()).map(({ label }) => label)).toEqual(names)
  })

  it('each has a refresh-its own, and a user needs no more than one request for each', async () => {
    await connect('ada', { name: 'Ada' })
    await connect('work', { name: 'Work' })
    clock.now += 4000
    upstream.script('/token', ({ form }) => ({
      body: { access_token: `after-${form.get('refresh_token')}`, expires_in: 3600 },
    }))
    const work = await idOf('Work')
    const values = await Promise.all([tokenOf(work), tokenOf(work), tokenOf(await idOf('Ada'))])
    expect(values).toEqual(['after-refresh-work', 'after-refresh-work', 'after-refresh-ada'])
    const refreshes = upstream.seen('/token').filter(({ form }) => form.get('grant_type') === 'refresh_token')
    expect(refreshes).toHaveLength(2)
    expect((await accounts()).map(({ label }) => label).sort()).toEqual(['Ada', 'Work'])
  })

  it('what is told of a connection says of which account, by the id that tools and admins know', async () => {
    await connect('ada', { name: 'Ada' })
    await connect('work', { name: 'Work' })
    const [ada, work] = [await idOf('Ada'), await idOf('Work')]
    clock.now += 4000
    upstream.script('/token', ({ form }) =>
      form.get('refresh_token') === 'refresh-ada'
        ? { body: { access_token: 'later', expires_in: 3600 } }
        : { status: 400, body: { error: 'invalid_grant' } },
    )
    await tokenOf(ada)
    await errorOf(tokenOf(work))
    await connect('work', { name: 'Work' })
    const about = (type: string, account: string) => ({ type, userId: user, provider: 'google', account })
    expect(harness.events).toMatchObject([
      about('connection_made', ada),
      about('connection_made', work),
      about('connection_refreshed', ada),
      about('connection_refresh_failed', work),
      about('connection_changed', work),
      about('connection_ended', work),
      about('connection_made', work),
    ])
  })

  it('connecting again without a new refresh token is told of the same account', async () => {
    await connect('ada', { name: 'Ada' })
    await connect('ada', { name: 'Ada' }, { refresh_token: undefined, access_token: 'newer' })
    const account = await idOf('Ada')
    expect(await tokenOf()).toBe('newer')
    expect(harness.events).toMatchObject([
      { type: 'connection_made', account },
      { type: 'connection_made', account },
    ])
  })

  it('connecting the same account again replaces it, and it stays what it is called and the default', async () => {
    await connect('ada', { name: 'Ada', email: 'ada@home.example' })
    clock.now += 10
    await connect('work', { name: 'Work' })
    const before = await accounts()
    clock.now += 10
    await connect('ada', { name: 'Ada' }, { access_token: 'newer-access' })
    expect(await accounts()).toEqual(before)
    expect(await tokenOf()).toBe('newer-access')
  })

  it('the id of an account is short, the same every time, another for every user, and says nothing', async () => {
    await connect('ada', { name: 'Ada' })
    const id = await idOf('Ada')
    expect(id).toMatch(/^[\w-]{16}$/)
    await harness.store.deleteConnection({ userId: user, provider: 'google', account: id, now: clock() })
    expect(await accounts()).toEqual([])
    await connect('ada', { name: 'Ada' })
    expect(await idOf('Ada')).toBe(id)
    await harness.connect({ userId: 'user-2', claims: { sub: 'ada' } })
    const [theirs] = await harness.connected.accounts('user-2')
    expect(theirs?.id).not.toBe(id)
    // R179: nor does it open anything for them.
    const error = await errorOf(harness.connected.token('user-2', [], id))
    expect(error).toBeInstanceOf(ToolError)
    expect(hashIdentity([upstream.origin, 'ada'])).not.toContain(id)
  })

  it('R188: the id that events name is keyed: who knows user and account cannot tell without the secret', async () => {
    const idUnder = async (...secretRing: string[]) => {
      const ring = createSecretRing(secretRing)
      const keyedHash = (text: string) => ring.mac('account-id', text).toString('base64url')
      const host = { keyedHash, store: harness.store }
      const other = createHarness(providerAt.google(upstream.origin), { upstream, clock, host })
      await other.connect({ claims: { sub: 'ada', name: 'Ada' } })
      const made = other.events.find(event => event.type === 'connection_made')
      const [{ id } = { id: undefined }] = await other.connected.accounts(user)
      expect(made).toMatchObject({ userId: user, account: id })
      expect(JSON.stringify(other.events).toLowerCase()).not.toContain('ada')
      return id!
    }
    const forget = (account: string) =>
      harness.store.deleteConnection({ userId: user, provider: 'google', account, now: clock() })
    const [first, second] = ['a'.repeat(31), 'b'.repeat(31)].map((text, index) => `${text}${index}`) as [
      string,
      string,
    ]
    const id = await idUnder(first)
    // In another process, and when the secret has changed since it was connected.
    expect(await idUnder(first)).toBe(id)
    expect(await idUnder(second, first)).toBe(id)
    await forget(id)
    expect(await idUnder(second)).not.toBe(id)
  })

  it('an account nobody has connected is a clear error, not the token of another account', async () => {
    await connect('ada')
    for (const account of ['no-such-account', 'default', '', '__proto__']) {
      expect(await errorOf(harness.connected.token(user, [], account))).toBeInstanceOf(ToolError)
      expect(await harness.connected.isConnected(user, [], account)).toBe(false)
    }
  })

  it('when the default account ends, the user is asked to connect it, and no other is used instead', async () => {
    await connect('ada', { name: 'Ada' })
    clock.now += 10
    await connect('work', { name: 'Work' })
    clock.now += 4000
    upstream.script('/token', { status: 400, body: { error: 'invalid_grant' } })
    const error = await errorOf(harness.connected.token(user, [calendar]))
    expect(error).toBeInstanceOf(ConnectionRequiredError)
    const [ada] = await accounts()
    expect(ada).toMatchObject({ label: 'Ada', isDefault: true, state: 'revoked' })
    expect(error).toMatchObject({ reason: 'dead', account: ada!.id })
    upstream.script('/token', { body: { access_token: 'fresh', expires_in: 3600 } })
    expect(await tokenOf(await idOf('Work'))).toBe('fresh')
    await connect('ada', { name: 'Ada' })
    expect(await accounts()).toMatchObject([{ id: ada!.id, state: 'active' }, { label: 'Work' }])
  })

  it('a user connects ten; one more is refused, and one of the ten can still be connected again', async () => {
    for (let n = 0; n < 10; n++) {
      clock.now++
      await connect(`account-${n}`)
    }
    const error = await errorOf(connect('one-more'))
    expect(error).toBeInstanceOf(LoginError)
    expect(error).toMatchObject({ reason: 'too_many_accounts' })
    await connect('account-7', { name: 'Seven' })
    const all = await accounts()
    expect(all).toHaveLength(10)
    expect(all[7]).toMatchObject({ label: 'Seven' })
  })

  it('R178: what an account is called lies in the store sealed only, also once it has ended', async () => {
    await connect('ada', { name: 'Ada Lovelace', email: 'ada@home.example' })
    const inClear = async () =>
      JSON.stringify(await harness.store.listConnections({ userId: user, now: clock() }))
    expect(await inClear()).not.toMatch(/home\.example|Lovelace|"ada/)
    clock.now += 4000
    upstream.script('/token', { status: 400, body: { error: 'invalid_grant' } })
    await errorOf(harness.connected.token(user, []))
    expect(await inClear()).not.toMatch(/home\.example|Lovelace|"ada/)
    expect(await accounts()).toMatchObject([{ label: 'ada@home.example', state: 'revoked' }])
    expect(JSON.stringify(harness.events)).not.toContain('home.example')
  })

  it('R76: accounts are told apart by subject, whatever their addresses say', async () => {
    await connect('ada', { email: 'same@example.com' })
    await connect('mallory', { email: 'same@example.com' })
    expect(await accounts()).toHaveLength(2)
  })
})

describe('going to the provider for another account', () => {
  it('the user chooses there, and nothing of the accounts that are connected is asked for or shown', async () => {
    await connect('ada', {}, { scope: `openid profile ${mail}` })
    const parameters = await start({ account: anotherAccount })
    expect(parameters.get('prompt')).toBe('select_account consent')
    expect(parameters.get('scope')).toBe(`openid profile email ${calendar}`)
    expect(parameters.get('login_hint')).toBeNull()
  })

  it('R185: one that adds earlier grants by itself is asked for what this account lacks, and no more', async () => {
    await connect('ada', { name: 'Ada' })
    clock.now += 10
    await connect('work', { name: 'Work' }, { scope: `openid profile ${mail}` })
    const scopes = [calendar, mail]
    expect((await start({ scopes })).get('scope')).toBe(`openid profile ${mail}`)
    const account = await idOf('Work')
    const parameters = await start({ scopes, account })
    expect(parameters.get('scope')).toBe(`openid profile email ${calendar}`)
    expect(parameters.get('prompt')).toBe('select_account consent')
  })

  it('R185: a reply without scopes means what was asked and what was there', async () => {
    await connect('ada')
    await harness.connect({
      isKnown: true,
      scopes: [calendar, mail],
      claims: { sub: 'ada' },
      reply: { scope: undefined },
    })
    expect(await harness.connected.isConnected(user, [calendar, mail])).toBe(true)
  })
})

describe('a record of a version that knew one account per provider', () => {
  /** As that version wrote it. */
  async function putOld(state: 'active' | 'dead') {
    const key = { userId: user, provider: 'google', account: 'default' }
    const grant = {
      accessToken: 'old access',
      receivedAt: clock(),
      refreshToken: 'old refresh',
      issuer: upstream.origin,
      subject: 'ada',
    }
    const { store, sealer } = harness.host
    const content = JSON.stringify(state === 'active' ? grant : {})
    const record = {
      version: 1 as const,
      ...key,
      writtenBy: 'old',
      state,
      scopes: ['openid', 'profile', calendar],
      sealed: sealer.seal(content, connectionSealContext(harness.store.tenant, key)),
      accessEndsAt: clock() + 3600,
      updatedAt: clock(),
      expiresAt: clock() + 86_400,
    }
    await store.putConnection({ record, now: clock() })
  }
  const stored = () => harness.store.listConnections({ userId: user, now: clock() })

  it('goes on as the default account, and is found by its account after its next refresh', async () => {
    await putOld('active')
    await connect('work', { name: 'Work' })
    expect(await tokenOf()).toBe('old access')
    expect(await tokenOf('default')).toBe('old access')
    clock.now += 4000
    upstream.script('/token', { body: { access_token: 'fresh', expires_in: 3600 } })
    expect(await tokenOf()).toBe('fresh')
    const accountHash = hashIdentity([upstream.origin, 'ada'])
    expect(await harness.store.findConnectionsByAccount({ accountHash, now: clock() })).toMatchObject([
      { userId: user, account: 'default' },
    ])
  })

  it('keeps its id when its user connects it again', async () => {
    await putOld('active')
    await connect('ada', { name: 'Ada' })
    expect(await accounts()).toMatchObject([{ id: 'default', label: 'Ada' }])
    expect(await tokenOf()).toBe('access-ada')
  })

  it('that ended, and does not say whose it was, gives its place to what is connected next', async () => {
    await putOld('dead')
    await connect('ada', { name: 'Ada' })
    expect(await stored()).toMatchObject([{ account: 'default', state: 'active' }])
    await connect('work', { name: 'Work' })
    expect(await accounts()).toMatchObject([{ label: 'Ada', isDefault: true }, { label: 'Work' }])
  })
})
