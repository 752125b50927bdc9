import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { accounts } from '@sallyport/test-upstream'
import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RedisServer, startRedisServer } from '../../packages/oauth/src/storage/redis-server.fixture.ts'
import { type Canary, found } from './support/canaries.ts'
import { callTool, resultText } from './support/mcp-request.ts'
import { createRawClient } from './support/raw-client.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

/** What lies where the server keeps its records, looked at past the server. */
interface Keeper {
  environment: Record<string, string>
  /** Everything that is there, and everything that was, as far as it is still on a disk. */
  dump(sallyport: Sallyport): Promise<string>
  /** Exchanges the sealed external tokens of the only two users. */
  swapSealed(sallyport: Sallyport): Promise<void>
  close(): Promise<void>
}

const filesIn = (folder: string): string =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(file => file.isFile())
    .map(file => readFileSync(join(file.parentPath, file.name)).toString('latin1'))
    .join('\n')

const sealedIn = /"sealed":"([^"]+)"/
/** Both texts, each with what was sealed in the other. */
function swapped(texts: readonly string[]): [string, string] {
  expect(texts).toHaveLength(2)
  const [one = '', other = ''] = texts
  const [ofOne, ofOther] = [one, other].map(text => sealedIn.exec(text)?.[1] ?? '')
  for (const sealed of [ofOne, ofOther]) expect(sealed).toMatch(/^s1\./)
  return [one.replace(ofOne!, ofOther!), other.replace(ofOther!, ofOne!)]
}

const keepers: Record<string, () => Promise<Keeper>> = {
  async SQLite() {
    return {
      environment: {},
      dump: async ({ directory }) => filesIn(directory),
      async swapSealed({ directory }) {
        const database = new DatabaseSync(join(directory, 'store.sqlite'))
        const rows = database.prepare("SELECT id, value FROM records WHERE kind = 'connection'").all()
        const update = database.prepare("UPDATE records SET value = ? WHERE kind = 'connection' AND id = ?")
        const values = swapped(rows.map(({ value }) => String(value)))
        for (const [i, value] of values.entries()) update.run(value, rows[i]!.id!)
        database.close()
      },
      close: async () => {},
    }
  },
  async Redis() {
    const redis: RedisServer = await startRedisServer({ appendonly: 'yes', appendfsync: 'always' })
    const { client } = redis
    return {
      environment: {
        SESSION_REDIS_URL: redis.url,
        SALLYPORT_SECRET: 'a-secret-of-this-deployment-0123456789',
      },
      async dump() {
        const lines: string[] = []
        for (const key of await client.keys('*')) {
          const type = await client.type(key)
          expect(['hash', 'zset', 'string']).toContain(type)
          const value =
            type === 'hash'
              ? await client.hgetall(key)
              : type === 'zset'
                ? await client.zrange(key, '0', '-1', 'WITHSCORES')
                : await client.get(key)
          lines.push(key, JSON.stringify(value))
        }
        // The append-only file has every script that ever ran, with its arguments.
        return `${lines.join('\n')}\n${filesIn(redis.folder)}`
      },
      async swapSealed() {
        const keys = await client.keys('*:connections')
        const [fields, texts] = [[] as string[], [] as string[]]
        for (const key of keys) {
          const [entry] = Object.entries(await client.hgetall(key))
          fields.push(entry![0])
          texts.push(entry![1])
        }
        for (const [i, text] of swapped(texts).entries()) await client.hset(keys[i]!, fields[i]!, text)
      },
      close: () => redis.stop(),
    }
  },
}

interface User {
  name: string
  email: string
  token: string
}

describe.each(Object.entries(keepers))('what lies in %s after a whole flow', (_, create) => {
  let keeper: Keeper
  let sallyport: Sallyport
  let held = ''
  const canaries: Canary[] = []
  const keep = (kind: string, value: unknown) => {
    expect(value, kind).toBeTypeOf('string')
    canaries.push({ kind, value: String(value) })
  }
  const users: User[] = []
  const profile = async ({ token }: User) =>
    resultText(await callTool(sallyport.mcpUrl, 'my-profile', {}, { token }))

  async function signIn({ sub, name, email }: (typeof accounts)[0]): Promise<void> {
    const client = await createRawClient(sallyport.mcpUrl, 'client_secret_post')
    keep('client secret', client.client.client_secret)
    const { callback, parameters, verifier } = await client.authorize({
      plan: {
        account: sub,
        onPage: async () => {
          held += await keeper.dump(sallyport)
        },
      },
    })
    keep('authorization code', parameters.get('code'))
    keep('state', callback.searchParams.get('state'))
    keep('code verifier', verifier)
    const first = await oauth.processAuthorizationCodeResponse(
      client.server,
      client.client,
      await client.redeem(parameters, verifier),
    )
    const second = await oauth.processRefreshTokenResponse(
      client.server,
      client.client,
      await client.refresh(first.refresh_token ?? ''),
    )
    for (const [which, reply] of Object.entries({ first, second })) {
      keep(`${which} access token`, reply.access_token)
      keep(`${which} refresh token`, reply.refresh_token)
    }
    for (const { key, value } of await client.browser.cookies.getCookies(sallyport.origin)) {
      keep(`cookie ${key}`, value)
    }
    users.push({ name, email, token: second.access_token })
  }

  beforeAll(async () => {
    keeper = await create()
    sallyport = await startSallyport({
      environment: { ...keeper.environment, OAUTH_ACCESS_TOKEN_TTL: '7200' },
      upstream: { refreshTokens: 'always', rotateRefreshTokens: true },
    })
    for (const account of accounts) await signIn(account)
    for (const user of users) expect(await profile(user)).toContain(user.name)
    // The tokens of the provider change as well.
    sallyport.upstream.control.expireAccessTokens()
    await sallyport.advance(3_601)
    for (const user of users) expect(await profile(user)).toContain(user.name)
    held += await keeper.dump(sallyport)
    for (const { kind, value } of sallyport.upstream.control.secrets) keep(`upstream ${kind}`, value)
    keep('client secret of the upstream', sallyport.upstreamSecret)
    for (const [name, value] of Object.entries(keeper.environment)) {
      if (name === 'SALLYPORT_SECRET') keep('secret ring', value)
    }
  })
  afterAll(async () => {
    await sallyport?.close()
    await keeper?.close()
  })

  it('R162: no token, code, secret or e-mail address is there, neither ours nor the provider’s', () => {
    const kinds = [
      'authorization code',
      'second refresh token',
      'upstream access_token',
      'upstream refresh_token',
    ]
    expect(canaries.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining([...kinds, 'upstream id_token', 'upstream email', 'upstream code']),
    )
    // The search finds what is there, and what is there is what the users did.
    expect(found(held, [{ kind: 'resource', value: sallyport.mcpUrl }])).toHaveLength(1)
    expect(held.match(/"sealed":\\?"s1\./g)!.length).toBeGreaterThan(2)
    const secrets = canaries.filter(({ value }) => value.length >= 8)
    expect(found(held, secrets)).toEqual([])
  })

  it('R162, R179: two sealed values that were exchanged open for nobody, and put back for both', async () => {
    await keeper.swapSealed(sallyport)
    for (const user of users) {
      const text = await profile(user)
      for (const { name, email } of users) {
        expect(text).not.toContain(name)
        expect(text).not.toContain(email)
      }
    }
    await keeper.swapSealed(sallyport)
    for (const user of users) expect(await profile(user)).toContain(user.name)
  })
})
