import { type AccessToken, OAuthError } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { createMemoryHeldSignIn, type HeldSignIn } from './held-sign-in.ts'
import { createSession } from './session.ts'

const start = 1_900_000_000
const held = (change: Partial<HeldSignIn> = {}): HeldSignIn => ({
  clientId: 'client',
  accessToken: 'access-1',
  refreshToken: 'refresh-1',
  endsAt: start + 900,
  ...change,
})

function setUp(kept: HeldSignIn | undefined = held()) {
  const store = createMemoryHeldSignIn()
  store.write(kept)
  const time = { now: start }
  const refreshed: string[] = []
  const state = {
    valid: new Set(['access-1', 'access-2']),
    next: held({ accessToken: 'access-2', refreshToken: 'refresh-2' }) as HeldSignIn | undefined | Error,
    /** What another process does while the issuer is asked. */
    meanwhile: () => {},
  }
  const session = createSession({
    store,
    client: {
      begin: () => Promise.reject(new Error('not asked for')),
      async refresh({ refreshToken = '' }) {
        refreshed.push(refreshToken)
        state.meanwhile()
        if (state.next instanceof Error) throw state.next
        return state.next
      },
    },
    async verify(token) {
      if (!state.valid.has(token)) throw new OAuthError('invalid_token', 'not valid')
      return { principal: 'user', userId: 'ada', scopes: [], jti: token } as unknown as AccessToken
    },
    clock: () => time.now,
  })
  const who = async () => (await session.caller())?.userId
  return { store, time, refreshed, state, session, who }
}

describe('the session of a user of stdio', () => {
  it('nobody is signed in where nothing is kept', async () => {
    const { store, who } = setUp()
    store.write(undefined)
    expect(await who()).toBeUndefined()
  })

  it('a token with life left is used as it is', async () => {
    const { who, refreshed } = setUp()
    expect(await who()).toBe('ada')
    expect(refreshed).toEqual([])
  })

  it('a token without an end is tried, and refreshed when it is refused', async () => {
    const { who, refreshed, state } = setUp(held({ endsAt: 0 }))
    expect([await who(), refreshed]).toEqual(['ada', []])
    state.valid.delete('access-1')
    expect([await who(), refreshed]).toEqual(['ada', ['refresh-1']])
  })

  it('a token at its end is refreshed first, once for calls at the same time', async () => {
    const { who, refreshed, time, store } = setUp()
    time.now += 880
    expect(await Promise.all([who(), who(), who()])).toEqual(['ada', 'ada', 'ada'])
    expect(refreshed).toEqual(['refresh-1'])
    expect(store.read()?.refreshToken).toBe('refresh-2')
  })

  it('what another process has refreshed is used, not refreshed again', async () => {
    const { who, refreshed, state, store } = setUp()
    state.valid.delete('access-1')
    const before = store.read
    let reads = 0
    // The other process writes between the first look and the refresh.
    store.read = () => (++reads === 2 ? held({ accessToken: 'access-2' }) : before())
    expect([await who(), refreshed]).toEqual(['ada', []])
  })

  it('a refresh lost to another process finds what that one wrote', async () => {
    const { who, state, store } = setUp()
    state.valid.delete('access-1')
    state.next = undefined
    state.meanwhile = () => store.write(held({ accessToken: 'access-2', refreshToken: 'refresh-2' }))
    expect(await who()).toBe('ada')
    expect(store.read()?.refreshToken).toBe('refresh-2')
  })

  it('what the issuer has ended is forgotten', async () => {
    const { who, state, store, time } = setUp()
    state.next = undefined
    time.now += 900
    expect([await who(), store.read()]).toEqual([undefined, undefined])
  })

  it('an issuer that cannot be asked ends nothing', async () => {
    const { who, state, store, time } = setUp()
    state.next = new Error('connection refused')
    time.now += 900
    await expect(who()).rejects.toThrow('connection refused')
    expect(store.read()?.refreshToken).toBe('refresh-1')
    state.next = held({ accessToken: 'access-2', endsAt: time.now + 900 })
    expect(await who()).toBe('ada')
  })

  it('R155: a token that is not good here is not kept', async () => {
    const { session, store } = setUp()
    store.write(undefined)
    expect(await session.accept(held({ accessToken: 'of-elsewhere' }))).toBe(false)
    expect(store.read()).toBeUndefined()
    expect(await session.accept(held())).toBe(true)
    expect(store.read()).toEqual(held())
  })
})
