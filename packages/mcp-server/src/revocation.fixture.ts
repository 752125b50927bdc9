import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort, type ServerProcess, startProcess } from './processes.fixture.ts'
import { createTestClient, textOf } from './sign-in.fixture.ts'

/**
 * Declares what must hold for two processes on one store. Nothing waits for a time that was guessed: the other process
 * is asked until it refuses, and an access token would otherwise live for 15 minutes.
 *
 * @param storeOf environment that names the store
 */
export function describeRevocationAcrossProcesses(name: string, storeOf: () => Record<string, string>): void {
  describe(`${name}: two processes on one store`, () => {
    let one: ServerProcess
    let other: ServerProcess
    let client: ReturnType<typeof createTestClient>
    beforeAll(async () => {
      const [port, otherPort] = [await freePort(), await freePort()]
      const publicUrl = `http://localhost:${port}`
      one = await startProcess('revocation-main.fixture.ts', publicUrl, port, storeOf())
      other = await startProcess('revocation-main.fixture.ts', publicUrl, otherPort, storeOf())
      client = createTestClient(one.serve, publicUrl)
    }, 30_000)
    afterAll(async () => {
      await Promise.all([one?.close(), other?.close()])
    })

    const refresh = (token: unknown) =>
      client.token({ grant_type: 'refresh_token', refresh_token: String(token) })

    it.each<[string, (tokens: Record<string, unknown>, userId: string) => Promise<unknown>]>([
      ['a client revokes its refresh token', ({ refresh_token }) => client.revoke(String(refresh_token))],
      ['a client revokes its access token', ({ access_token }) => client.revoke(String(access_token))],
      ['an administrator revokes the user', (_, userId) => one.tell(userId)],
      [
        'a refresh token that was rotated away twice comes again',
        async ({ refresh_token }) => {
          const second = await refresh(refresh_token)
          await refresh(second.refresh_token)
          expect((await refresh(refresh_token)).error).toBe('invalid_grant')
        },
      ],
    ])('R139, R157: %s at one, and the other refuses what it has just accepted', async (_, revoke) => {
      const tokens = await client.signIn()
      const before = await other.call(tokens.access_token)
      expect(before.status).toBe(200)
      const userId = await textOf(before)
      await revoke(tokens, userId!)
      expect((await one.call(tokens.access_token)).status).toBe(401)
      await expect
        .poll(async () => (await other.call(tokens.access_token)).status, { interval: 20, timeout: 20_000 })
        .toBe(401)
    })
  })
}
