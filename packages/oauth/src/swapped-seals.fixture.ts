import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  challenge,
  createFixture,
  type Fixture,
  issuer,
  outcome,
  publicClient,
  redirectUri,
  resource,
  ringSecret,
} from './authorization-server.fixture.ts'
import { createBrowser, createFakeProvider } from './endpoints/sign-in.fixture.ts'
import { findTransaction } from './endpoints/transaction.ts'
import { ConfigurationError } from './errors.ts'
import { createSealer } from './keys/sealer.ts'
import { createSecretRing } from './keys/secret-ring.ts'
import { createSigningKeys } from './keys/signing-keys.ts'
import { systemRandom } from './runtime.ts'
import type { Store } from './storage/store.ts'

/** A text in a store in which something is sealed: all of it, or a member of its JSON. */
export interface SealedText {
  text: string
  write(text: string): Promise<void>
}

/** A store, and a way past it. */
export interface OpenedStore {
  store: Store
  find(kind: 'pending_authorization' | 'signing_key' | 'grant'): Promise<SealedText[]>
  close(): Promise<void>
}

const sealer = createSealer(createSecretRing([ringSecret]), systemRandom)
const sealedIn = (text: string) => /^\{.*"(?:sealed|replay)":"([^"]+)"/s.exec(text)?.[1] ?? text

/** Exchanges what is sealed in the only two texts of a kind. */
async function swap({ find }: OpenedStore, kind: Parameters<OpenedStore['find']>[0]): Promise<void> {
  const found = await find(kind)
  expect(found).toHaveLength(2)
  const [one, other] = found.map(({ text }) => ({ text, sealed: sealedIn(text) }))
  expect(one!.sealed).not.toBe(other!.sealed)
  await found[0]!.write(one!.text.replace(one!.sealed, other!.sealed))
  await found[1]!.write(other!.text.replace(other!.sealed, one!.sealed))
}

/** Declares that what is sealed in a store opens in its own record alone. External tokens: test/e2e/at-rest.test.ts. */
export function describeSwappedSeals(name: string, open: () => Promise<OpenedStore>): void {
  describe(`R162: two sealed values exchanged in ${name} open for nobody, and put back for both`, () => {
    let opened: OpenedStore
    let fixture: Fixture
    beforeEach(async () => {
      opened = await open()
      fixture = createFixture({ store: opened.store, signIn: createFakeProvider('google', 'Google') })
    })
    afterEach(async () => {
      await fixture.server.close()
      await opened.close()
    })

    it('sign-ins that are under way', async () => {
      const begin = async () => {
        const browser = createBrowser(async request => (await fixture.server.handle(request))!)
        const parameters = new URLSearchParams({
          response_type: 'code',
          client_id: publicClient.clientId,
          redirect_uri: redirectUri,
          code_challenge: challenge,
          code_challenge_method: 'S256',
          resource,
        })
        const page = await browser.open(`${issuer}/oauth/authorize?${parameters}`)
        const { location } = await browser.submit(page, { decision: 'allow' })
        const state = new URL(location!).searchParams.get('state')!
        const back = new URLSearchParams({ code: 'ada', state })
        const id = state.split('.')[0]!
        return {
          comeBack: () => browser.open(`${issuer}/oauth/callback/google?${back}`),
          find: () => findTransaction({ store: opened.store, sealer, clock: () => fixture.time.now }, id),
        }
      }
      const signIns = [await begin(), await begin()]
      for (const { find } of signIns) expect(await find()).toBeDefined()
      await swap(opened, 'pending_authorization')
      for (const { find, comeBack } of signIns) {
        expect(await find()).toBeUndefined()
        const { status, location } = await comeBack()
        expect([status, location]).toEqual([403, undefined])
      }
      await swap(opened, 'pending_authorization')
      for (const { comeBack } of signIns) expect((await comeBack()).location).toContain('code=sp_ac_')
    })

    it('replies of a rotation, for the token they are kept for', async () => {
      const sessions = [await fixture.session(publicClient), await fixture.session(publicClient)]
      const refresh = () =>
        Promise.all(sessions.map(async ({ refresh: token }) => fixture.refresh(publicClient, token)))
      const replies = await Promise.all((await refresh()).map(response => response.json()))
      await swap(opened, 'grant')
      for (const response of await refresh()) expect(await outcome(response)).toBe('400 invalid_grant')
      await swap(opened, 'grant')
      expect(await Promise.all((await refresh()).map(response => response.json()))).toEqual(replies)
    })

    it('signing keys', async () => {
      const { store } = opened
      let now = fixture.time.now
      const openKeys = () =>
        createSigningKeys({
          store,
          sealer,
          algorithm: 'ES256',
          clock: () => now,
          rotation: { publishAheadSeconds: 300, rotateAfterSeconds: 600, tokenSeconds: 3_600 },
        })
      const before = openKeys()
      await before.active()
      now += 400
      await before.rotateIfDue()
      const { keys } = await before.jwks()
      expect(keys).toHaveLength(2)
      await swap(opened, 'signing_key')
      await expect(openKeys().active()).rejects.toThrow(ConfigurationError)
      await swap(opened, 'signing_key')
      expect(await openKeys().jwks()).toEqual({ keys })
    })
  })
}
