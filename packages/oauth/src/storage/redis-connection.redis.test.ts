import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { afterEach, describe, expect, it } from 'vitest'
import { freePort, startRedisSentinel, startRedisServer } from './redis-server.fixture.ts'
import { newTenant, tenantKeys } from './redis-store.fixture.ts'
import { createRedisStore } from './redis-store.ts'

const now = 1_900_000_000

const ending: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end()
})
let operations = 0
const claim = (idHash: string) => ({
  kind: 'jti' as const,
  idHash,
  expiresAt: now + 60,
  operationId: `operation-${operations++}`,
  now,
})

describe('ways to a Redis', () => {
  it('a numbered database, and no other', async () => {
    const server = await startRedisServer()
    ending.push(() => server.stop())
    const tenant = newTenant()
    const store = await createRedisStore({ url: `${server.url}/3`, tenant })
    ending.push(() => store.close())
    expect(await store.claimSingleUse(claim('id'))).toBe('claimed')
    expect(await tenantKeys([server.client], tenant)).toEqual([])
    await server.client.select(3)
    expect(await tenantKeys([server.client], tenant)).toHaveLength(2)
  })

  it('R173: TLS with a certificate that is checked', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-tls-'))
    ending.push(() => rmSync(folder, { recursive: true, force: true }))
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
    })
    writeFileSync(join(folder, 'cert.pem'), cert)
    writeFileSync(join(folder, 'key.pem'), key)
    const port = await freePort()
    const server = await startRedisServer({
      'tls-port': `${port}`,
      'tls-cert-file': join(folder, 'cert.pem'),
      'tls-key-file': join(folder, 'key.pem'),
      'tls-ca-cert-file': join(folder, 'cert.pem'),
      'tls-auth-clients': 'no',
    })
    ending.push(() => server.stop())
    const url = `rediss://localhost:${port}`
    const store = await createRedisStore({ url, tenant: newTenant(), tls: { ca: cert } })
    ending.push(() => store.close())
    expect(await store.claimSingleUse(claim('id'))).toBe('claimed')
    await expect(createRedisStore({ url, stepTimeoutMs: 500 })).rejects.toThrow(
      'Redis could not answer (DEPTH_ZERO_SELF_SIGNED_CERT)',
    )
  })

  it('R166: sentinels: after a failover the new master is found, and what it knows is used', async () => {
    const master = await startRedisServer({ appendonly: 'yes' })
    ending.push(() => master.stop())
    const replica = await startRedisServer({ appendonly: 'yes', replicaof: `127.0.0.1 ${master.port}` })
    ending.push(() => replica.stop())
    const sentinel = await startRedisSentinel(master)
    ending.push(() => sentinel.stop())
    const store = await createRedisStore({
      url: `redis+sentinel://127.0.0.1:${sentinel.port}/main`,
      tenant: newTenant(),
      heartbeatMs: 100,
    })
    ending.push(() => store.close())
    let synced = 0
    store.watchRevocations({ onRevoked: () => {}, onSynced: () => synced++ })
    expect(await store.claimSingleUse(claim('before'))).toBe('claimed')
    // WAIT speaks of what its own connection wrote: what came before that has arrived as well then.
    await master.client.set('written', 'after')
    await expect.poll(() => master.client.wait(1, 1_000), { timeout: 60_000 }).toBe(1)
    // A sentinel needs to have seen the replica before it can choose it.
    const replicas = async () =>
      ((await sentinel.client.call('SENTINEL', 'replicas', 'main')) as unknown[]).length
    await expect.poll(replicas, { timeout: 60_000 }).toBe(1)
    await master.kill()
    const claimed = () => store.claimSingleUse(claim('after')).catch(() => 'unavailable')
    await expect.poll(claimed, { timeout: 60_000 }).toMatch(/claimed|used/)
    expect(await store.claimSingleUse(claim('before'))).toBe('used')
    const before = synced
    await expect.poll(() => synced, { timeout: 60_000 }).toBeGreaterThan(before)
  }, 200_000)
})
