import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { createFixture, issuer, resource } from '../authorization-server.fixture.ts'
import { createFileStore } from '../storage/file-store.ts'
import {
  expectRotationWithoutFailure,
  type Instance,
  type InstanceSettings,
} from './rotation-under-load.fixture.ts'
import { createSecretRing } from './secret-ring.ts'

it('R174, R178: two servers on one file change the secret and the signing key under load, and no request fails', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-rotation-'))
  const shared = createFileStore({ directory })
  const start = async ({ secrets, startAt, ...options }: InstanceSettings): Promise<Instance> => {
    const store = createFileStore({ directory })
    const fixture = createFixture({ store, secrets: createSecretRing(secrets), ...options })
    fixture.time.now = startAt
    await fixture.server.start()
    const answer = async (response: Response) => ({
      status: response.status,
      retryAfter: response.headers.get('Retry-After'),
      body: (await response.json()) as Record<string, string>,
      elapsedMs: 0,
    })
    return {
      redeem: async (...request) => answer(await fixture.redeem(...request)),
      refresh: async (...request) => answer(await fixture.refresh(...request)),
      // Rejects unless it is live.
      verify: async access => {
        await fixture.server.verifyAccessToken(access, resource)
        return { state: 'live', elapsedMs: 0 }
      },
      async getJwks() {
        const response = await fixture.server.handle(new Request(`${issuer}/oauth/jwks`))
        expect(response?.status).toBe(200)
        return response!.json()
      },
      setTime: async now => {
        fixture.time.now = now
      },
      events: async () => fixture.events,
      async close() {
        await fixture.server.close()
        await store.close()
      },
    }
  }
  try {
    await expectRotationWithoutFailure(shared, start)
  } finally {
    await shared.close()
    rmSync(directory, { recursive: true })
  }
}, 600_000)
